"""Who gets in: tokens, or an app's own rules, for any ASGI app.

```python
auth = Auth(TokenAuthenticator(SecretKey(os.environ["SECRET"])))


@app.websocket("/ws/{room}")
async def chat(ws: WebSocket, room: str):
    async with auth.admit(ws, room) as caller, rooms.join(room, ws, user=caller.user) as member:
        ...
```
"""

from roomcast.auth.access import Auth, Authenticator, Authorizer
from roomcast.auth.caller import Caller
from roomcast.auth.identity import EVERYTHING, Action, Identity
from roomcast.auth.issuing import make_token
from roomcast.auth.jwks import JWKSFile, JWKSUrl
from roomcast.auth.keys import Keys, PublicKey, SecretKey, key_file
from roomcast.auth.settings import auth_from_environment
from roomcast.auth.tokens import TOKEN_SUBPROTOCOL
from roomcast.auth.verification import TokenAuthenticator

__all__ = [
    "EVERYTHING",
    "TOKEN_SUBPROTOCOL",
    "Action",
    "Auth",
    "Authenticator",
    "Authorizer",
    "Caller",
    "Identity",
    "JWKSFile",
    "JWKSUrl",
    "Keys",
    "PublicKey",
    "SecretKey",
    "TokenAuthenticator",
    "auth_from_environment",
    "key_file",
    "make_token",
]
