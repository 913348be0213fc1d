"""What OpenAlgo's web application does: logins, keys and order updates. Commands are JSON lines on stdin."""

import json
import sys

from dotenv import load_dotenv

load_dotenv(".env", override=True)

import websocket_proxy  # noqa: E402,F401 - first, see there
from database import auth_db  # noqa: E402
from websocket_proxy.connection_manager import SharedZmqPublisher  # noqa: E402

auth_db.init_db()
publisher = SharedZmqPublisher()
publisher.connect()
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    do = command.pop("do")
    if do == "publish":
        publisher.publish(command["topic"], command["data"])
    elif do == "raw":
        publisher.socket.send_multipart([frame.encode() for frame in command["frames"]])
    elif do == "drop_keys":
        auth_db.ApiKeys.__table__.drop(auth_db.engine)
    else:
        {"login": auth_db.upsert_auth, "key": auth_db.upsert_api_key}[do](**command)
    auth_db.db_session.remove()
    print(json.dumps({"done": do}), flush=True)
