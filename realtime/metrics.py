"""What the realtime processes count."""

from baas.kernel.metrics import Counter, Gauge

SOCKETS = Gauge("baas_realtime_sockets", "Open sockets.", multiprocess_mode="livesum")
SUBSCRIPTIONS = Gauge(
    "baas_realtime_subscriptions", "Live subscriptions.", multiprocess_mode="livesum"
)
VIEWS = Gauge(
    "baas_realtime_views", "Distinct live queries that are kept.", multiprocess_mode="livesum"
)
FRAMES = Counter("baas_realtime_frames_total", "Frames handed to sockets.")
EVENTS = Counter("baas_realtime_events_total", "Events read from the log.")
RESETS = Counter("baas_realtime_resets_total", "Subscriptions that were reset.", ["reason"])
