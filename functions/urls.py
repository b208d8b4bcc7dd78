from django.urls import path

from functions import views

P = "v1/projects/<str:project>"

urlpatterns = [
    path(f"{P}/functions", views.FunctionsView.as_view()),
    path(f"{P}/functions/<str:name>/versions", views.VersionsView.as_view()),
    path(f"{P}/functions/<str:name>/aliases/<str:alias>", views.AliasView.as_view()),
    path(f"{P}/functions/<str:name>/logs", views.LogsView.as_view()),
    path(f"{P}/functions/<str:name>/metrics", views.MetricsView.as_view()),
    path(f"{P}/functions/<str:name>/invocations", views.InvocationsView.as_view()),
    path(f"{P}/functions/<str:name>:rollback", views.RollbackView.as_view()),
    path(f"{P}/functions/<str:name>", views.FunctionView.as_view()),
    path(f"{P}/secrets", views.SecretsView.as_view()),
    path(f"{P}/secrets/<str:name>", views.SecretView.as_view()),
    path(f"{P}/triggers", views.TriggersView.as_view()),
    path(f"{P}/triggers/<str:name>", views.TriggerView.as_view()),
    path(f"{P}/deliveries", views.DeliveriesView.as_view()),
    path(f"{P}/deliveries:redrive", views.RedriveView.as_view()),
    path(f"{P}/deliveries:purge", views.PurgeView.as_view()),
]
