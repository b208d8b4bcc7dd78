"""Never succeeds: its events end in the dead letters until it is fixed."""


def handler(event, context):
    return event["data"]["document"]["no such field"]
