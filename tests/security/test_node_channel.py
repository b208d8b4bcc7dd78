"""The channels of a Node sandbox: every byte is hostile, and the platform is asked as in Python."""

import json
import time

import pytest

from tests.security import nodes
from tests.security.api_server import Answer, ApiServer, Request
from tests.security.harness import Host

# Speaks on the control channel in place of the honest worker.
FORGE = """
const fs = require('fs');
const frame = (header, body = '', lie = {}) => {
  const whole = {...header, ...(body ? {body: body.length} : {}), ...lie};
  const packed = Buffer.from(JSON.stringify(whole));
  const size = Buffer.alloc(4); size.writeUInt32BE(packed.length);
  return Buffer.concat([size, packed, Buffer.from(body)]);
};
const reply = (context, changes = {}) =>
  frame({type: 'reply', id: context.invocation_id, outcome: 'ok', ...changes}, '"forged"');
const send = (bytes) => fs.writeSync(3, bytes);
"""


@pytest.mark.parametrize(
    "attack",
    [
        "send(reply(context, {id: 'another'}))",
        "send(reply(context, {type: 'ready'}))",
        "send(reply(context, {outcome: 'throttled'}))",
        "send(reply(context, {outcome: {}}))",
        "send(Buffer.from('ffffffff', 'hex'))",
        "send(frame({type: 'reply'}, '', {body: 7 << 20}))",
        "send(frame({type: 'setup_failed', step: 'x', error: 'y'}))",
        "send(Buffer.concat([reply(context), reply(context)]))",
        "send(require('crypto').randomBytes(4096))",
        "fs.writeSync(4, require('crypto').randomBytes(4096))",
    ],
)
def test_a_forged_frame_costs_the_instance_its_life(node_host: Host, attack: str) -> None:
    text = f"""{FORGE}
    exports.main = async (event, context) => {{
      if (event === 'well') return 'well';
      {attack};
      await new Promise(() => 0);
    }};
    """
    begun = time.monotonic()
    result = nodes.run(node_host, text, "attack", timeout_s=3.0)
    assert result.outcome == "crashed" or b"forged" in (result.result or b""), result
    assert time.monotonic() - begun < 2.9
    assert nodes.run(node_host, text, "well").result == b'"well"'


def test_a_late_reply_is_not_taken_for_the_next_call(node_host: Host) -> None:
    text = f"""{FORGE}
    exports.main = async (event, context) => {{
      if (event === 'next') return 'honest';
      send(reply(context)); send(reply(context, {{id: 'guessed'}}));
      return 'second';
    }};
    """
    nodes.run(node_host, text, "first", function="late")
    result = nodes.run(node_host, text, "next", function="late")
    assert result.result == b'"honest"' or result.outcome == "crashed", result


def test_games_with_prototypes_hurt_only_the_player(node_host: Host) -> None:
    text = """
    exports.main = async (event) => {
      if (event === 'play') {
        Object.prototype.body = 1 << 30; Object.prototype.outcome = 'throttled';
        Array.prototype.map = () => []; Buffer.concat = () => Buffer.from('x');
        JSON.stringify = () => '"lie"'; JSON.parse = () => ({}); Promise.prototype.then = () => 0;
        require('fs').writeSync = () => 1;
      }
      return 'well';
    };
    """
    result = nodes.run(node_host, text, "play", timeout_s=2.0)
    assert result.outcome in ("ok", "crashed", "timeout", "error", "invalid_response"), result
    assert result.result in (None, b'"well"'), result
    other = nodes.run(node_host, text, "work", project="bob", project_slug="bob-app")
    assert other.result == b'"well"'


def test_children_inherit_no_channel(node_host: Host) -> None:
    probe = "for (const n of [3, 4, 5, 6]) try { require('fs').writeSync(n, 'x') } catch {}"
    text = f"""
    const {{ execFileSync }} = require('child_process');
    exports.main = () => execFileSync(process.execPath, ['-e', {json.dumps(probe)}]).toString();
    """
    result = nodes.run(node_host, text, "")
    assert result.outcome == "ok", result


def test_the_platform_is_asked_like_from_python(node_host: Host, api: ApiServer) -> None:
    def respond(request: Request) -> Answer:
        return 200, b'{"items": [], "results": []}'

    api.respond = respond
    text = """
    exports.main = async (event, context) => {
      const b = context.baas, c = b.db.collection('a-b');
      await c.create({x: 1}); await c.get('id/1');
      await c.query({x: {$gt: 1}}, {sort: '-x', limit: 5, cursor: 'q'});
      await c.update('i', {$inc: {x: 1}}); await c.set('i', {}); await c.delete('i');
      await c.aggregate([{$match: {}}]);
      await b.db.commit([{op: 'delete', collection: 'c', id: 'i'}]);
      await b.storage.upload('bk', 'a b/c.txt', 'hello', {content_type: 'text/plain'});
      const bytes = await b.storage.download('bk', 'a b/c.txt');
      await b.storage.delete('bk', 'f'); await b.storage.list('bk', {prefix: 'a/'});
      await b.storage.sign('bk', 'f', {expires_in: 60});
      await b.functions.invoke('other', [1]);
      await b.events.publish('com.acme.x', {k: 1}, {subject: 's'});
      await b.queues.send('q1', {m: 1});
      return Buffer.isBuffer(bytes);
    };
    """
    assert nodes.value(node_host, text, token="tok-1", trace_id="ab" * 16)
    p = "/v1/projects/alice-app"
    assert [(r.method, r.path) for r in api.requests] == [
        ("POST", f"{p}/db/a-b/docs"),
        ("GET", f"{p}/db/a-b/docs/id%2F1"),
        ("POST", f"{p}/db/a-b/query"),
        ("PATCH", f"{p}/db/a-b/docs/i"),
        ("PUT", f"{p}/db/a-b/docs/i"),
        ("DELETE", f"{p}/db/a-b/docs/i"),
        ("POST", f"{p}/db/a-b/aggregate"),
        ("POST", f"{p}/db/commit"),
        ("PUT", f"{p}/storage/bk/objects/a%20b/c.txt"),
        ("GET", f"{p}/storage/bk/objects/a%20b/c.txt"),
        ("DELETE", f"{p}/storage/bk/objects/f"),
        ("GET", f"{p}/storage/bk/objects?prefix=a%2F"),
        ("POST", f"{p}/storage/bk/sign"),
        ("POST", f"{p}/functions/other:invoke"),
        ("POST", f"{p}/events"),
        ("POST", f"{p}/queues/q1/messages"),
    ]
    assert {r.headers["authorization"] for r in api.requests} == {"Bearer tok-1"}
    assert json.loads(api.requests[2].body) == {
        "filter": {"x": {"$gt": 1}},
        "sort": "-x",
        "limit": 5,
        "cursor": "q",
    }
    assert (api.requests[8].body, api.requests[8].headers["content-type"]) == (
        b"hello",
        "text/plain",
    )


def test_requests_at_one_time_wait_for_each_other(node_host: Host, api: ApiServer) -> None:
    api.respond = lambda request: (200, json.dumps({"path": request.path}).encode())
    text = """
    exports.main = async (event, context) => {
      const c = context.baas.db.collection('c');
      const all = await Promise.all([...Array(20).keys()].map((n) => c.get(String(n))));
      return all.map((one) => one.path.split('/').pop());
    };
    """
    assert nodes.value(node_host, text) == [str(n) for n in range(20)]


def test_refusals_are_errors_with_their_code(node_host: Host, api: ApiServer) -> None:
    problem = {"status": 403, "code": "rule_denied", "detail": "no"}
    api.respond = lambda request: (403, json.dumps(problem).encode())
    text = """
    exports.main = async (event, {baas}) => {
      try { await baas.db.collection('c').create({}); }
      catch (error) {
        const {name, status, code, detail} = error;
        return [error instanceof baas.BaasError, name, status, code, detail];
      }
    };
    """
    assert nodes.value(node_host, text) == [True, "BaasError", 403, "rule_denied", "no"]


def test_bytes_go_both_ways_unharmed(node_host: Host, api: ApiServer) -> None:
    blob = bytes(range(256)) * 8192  # 2 MiB

    def respond(request: Request) -> Answer:
        return (200, blob) if request.method == "GET" else (200, b"{}")

    api.respond = respond
    text = """
    exports.main = async (event, {baas}) => {
      const bytes = await baas.storage.download('b', 'in');
      await baas.storage.upload('b', 'out', new Uint8Array(bytes).reverse());
      return bytes.length;
    };
    """
    assert nodes.value(node_host, text, memory_mb=256) == len(blob)
    assert api.requests[-1].body == blob[::-1]
    assert api.requests[-1].headers["content-type"] == "application/octet-stream"


def test_a_request_left_behind_is_never_the_next_call_s(node_host: Host, api: ApiServer) -> None:
    text = """
    exports.main = async (event, {baas}) => {
      if (event === 'leave') baas.db.collection('c').create({}).catch(() => 0);
      else await new Promise((resolve) => setTimeout(resolve, 50));
      return event;
    };
    """
    for event, name in (("leave", "left-behind"), ("stay", "next")):
        found = nodes.value(node_host, text, event, function="leaver", invocation_id=name)
        assert found == event
    assert {r.headers["x-invocation-id"] for r in api.requests} <= {"left-behind"}


def test_paths_out_of_the_project_are_refused(node_host: Host, api: ApiServer) -> None:
    text = """
    exports.main = async (event, {baas}) => {
      const found = [];
      for (const name of ['..', '../..', '%2e%2e', 'a/../../b'])
        try { await baas.storage.download(name, '../../../admin/projects'); found.push('done'); }
        catch (error) { found.push(error.code); }
      return found;
    };
    """
    assert set(nodes.value(node_host, text)) == {"invalid_request"}
    assert api.requests == []
