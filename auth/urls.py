from django.urls import path

from auth import views

urlpatterns = [
    path("v1/projects/<str:project>/users", views.UsersView.as_view()),
    path("v1/projects/<str:project>/users/<str:uid>", views.UserView.as_view()),
]
