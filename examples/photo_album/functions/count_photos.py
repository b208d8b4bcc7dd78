"""Runs on every new document in `photos`: keeps one counter per user.

Events are delivered at least once, so the increment and a marker for this event are committed
together: a second delivery finds the marker and changes nothing.
"""


def handler(event, context):
    owner = event["data"]["document"]["owner"]
    try:
        context.baas.db.commit(
            [
                {"op": "create", "collection": "counted", "id": f"e{event['id']}", "data": {}},
                {
                    "op": "update",
                    "collection": "counters",
                    "id": owner,
                    "update": {"$inc": {"photos": 1}},
                },
            ]
        )
    except Exception as error:
        if getattr(error, "code", None) == "document_exists":
            return {"counted": False}
        raise
    return {"counted": True}
