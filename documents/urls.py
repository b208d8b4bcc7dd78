from django.urls import path

from documents import views

urlpatterns = [
    path("v1/projects/<str:project>/rules/test", views.RuleTestView.as_view()),
    path("v1/projects/<str:project>/collections", views.CollectionsView.as_view()),
    path(
        "v1/projects/<str:project>/collections/<str:collection>:rename", views.RenameView.as_view()
    ),
    path("v1/projects/<str:project>/collections/<str:collection>", views.CollectionView.as_view()),
]
