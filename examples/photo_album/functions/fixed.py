"""The fix of `broken`."""


def handler(event, context):
    return event["data"]["document"].get("no such field", "nothing there, and that is fine")
