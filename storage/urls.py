from django.urls import path

from storage import views

urlpatterns = [
    path("v1/projects/<str:project>/buckets", views.BucketsView.as_view()),
    path("v1/projects/<str:project>/buckets/<str:bucket>", views.BucketView.as_view()),
]
