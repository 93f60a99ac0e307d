"""The image's HEALTHCHECK: exits 0 while a version is loaded to serve.

It runs every ten seconds, and so imports next to nothing.
"""

import http.client
import sys

_SECONDS = 4.0


def main() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        print(f"/readyz: {error}")
        return 1
    print(f"/readyz: {status}")
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
