from django.urls import path

from baas.kernel.control import views

urlpatterns = [
    path("healthz", views.healthz),
    path("readyz", views.readyz),
    path("metrics", views.prometheus),
    path("v1/admin/login", views.LoginView.as_view()),
    path("v1/admin/tokens", views.TokensView.as_view()),
    path("v1/admin/tokens/<str:token_id>", views.TokenView.as_view()),
    path("v1/admin/projects", views.ProjectsView.as_view()),
    path("v1/admin/projects/<str:project>", views.ProjectView.as_view()),
    path("v1/admin/projects/<str:project>/keys:rotate", views.ProjectKeysView.as_view()),
    path("v1/projects/<str:project>/settings", views.SettingsView.as_view()),
]
