"""Runs on every upload into the bucket `photos`: reads the picture and describes it in `photos`.

User code: it may use what Python brings along, no packages, no network, no disk but /tmp.
"""

import hashlib
import struct


def handler(event, context):
    picture = event["data"]["object"]
    data = context.baas.storage.download(picture["bucket"], picture["path"])
    width, height = dimensions(data)
    photo = {
        "owner": picture["owner"],
        "path": picture["path"],
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "width": width,
        "height": height,
        "taken": exif_date(data),
    }
    # The id is made from the path: an event that is delivered twice describes the same photo.
    photo_id = hashlib.sha256(picture["path"].encode()).hexdigest()[:32]
    context.baas.db.collection("photos").set(photo_id, photo)
    context.logger.info("indexed %s: %d x %d", picture["path"], width, height)
    return {"photo": photo_id}


def segments(data):
    """The marker segments of a JPEG: (marker, payload). Source: ITU T.81, annex B."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG")
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length


def dimensions(data):
    for marker, payload in segments(data):
        # SOF0..SOF15 but for DHT, JPG and DAC, which share the range.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", payload[1:5])
            return width, height
    raise ValueError("the JPEG has no frame header")


def exif_date(data):
    """DateTime (0x0132) of the first image directory, None without one. Source: EXIF 2.3."""
    for marker, payload in segments(data):
        if marker == 0xE1 and payload[:6] == b"Exif\0\0":
            tiff = payload[6:]
            order = "<" if tiff[:2] == b"II" else ">"
            start = struct.unpack(order + "I", tiff[4:8])[0]
            (count,) = struct.unpack(order + "H", tiff[start : start + 2])
            for number in range(count):
                entry = tiff[start + 2 + 12 * number : start + 14 + 12 * number]
                tag, _, length, offset = struct.unpack(order + "HHII", entry)
                if tag == 0x0132:
                    return tiff[offset : offset + length].rstrip(b"\0").decode("ascii")
    return None
