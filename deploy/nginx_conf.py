"""Prints the proxy's configuration for containers: the embedded stack's template, other addresses.

python -m deploy.nginx_conf [web address] [realtime address]
"""

import sys
from pathlib import Path

from baas.embedded import proxy


def main(web: str = "web:8000", realtime: str = "realtime:8001") -> None:
    sys.stdout.write(
        proxy.render(
            run_dir=Path("/tmp/nginx"),  # noqa: S108 - the container's own, made in the image
            listen=["8000"],
            web=[web],
            realtime=[realtime],
            access_log="/dev/stdout",
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
