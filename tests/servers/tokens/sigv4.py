"""Recomputes the signature of a token for Amazon MSK, by the steps that AWS documents for Signature Version 4 in a query
("Create a signed AWS API request"), with Python's own hmac and hashlib. Prints the key's id and for how long it is valid.

    sigv4.py TOKEN REGION SECRET SESSION_TOKEN
"""

import base64
import datetime
import hashlib
import hmac
import sys
from urllib.parse import parse_qsl, quote, urlsplit

token, region, secret, session = sys.argv[1:]
assert "=" not in token and "+" not in token and "/" not in token, "no padding, and the alphabet of addresses"
url = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
assert (url.scheme, url.netloc, url.path) == ("https", f"kafka.{region}.amazonaws.com", "/"), url
pairs = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=True))
agent, signature = pairs.pop("User-Agent"), pairs.pop("X-Amz-Signature")
assert agent.startswith("makegood/"), agent
assert pairs["Action"] == "kafka-cluster:Connect", pairs
assert pairs["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256", pairs
assert pairs["X-Amz-SignedHeaders"] == "host", pairs
assert pairs["X-Amz-Security-Token"] == session, pairs
key, date, *scope = pairs["X-Amz-Credential"].split("/")
assert scope == [region, "kafka-cluster", "aws4_request"], scope
at = datetime.datetime.strptime(pairs["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
assert at.strftime("%Y%m%d") == date, pairs
assert abs((datetime.datetime.now(datetime.timezone.utc) - at).total_seconds()) < 120, pairs

query = "&".join(f"{quote(name, safe='-_.~')}={quote(pairs[name], safe='-_.~')}" for name in sorted(pairs))
request = "\n".join(["GET", "/", query, f"host:{url.netloc}", "", "host", hashlib.sha256(b"").hexdigest()])
to_sign = "\n".join([
    "AWS4-HMAC-SHA256", pairs["X-Amz-Date"], "/".join([date, *scope]), hashlib.sha256(request.encode()).hexdigest(),
])
signing = ("AWS4" + secret).encode()
for part in [date, *scope]:
    signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
computed = hmac.new(signing, to_sign.encode(), hashlib.sha256).hexdigest()
assert computed == signature, f"{computed} is right, and the token has {signature}"
print(key, pairs["X-Amz-Expires"])
