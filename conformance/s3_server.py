"""A server that speaks S3, for one test: prints its address, and ends with its input.

The test holds the input open, so that the server ends with it even when the test is killed.
"""

import sys

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("{}:{}".format(*server.get_host_and_port()), flush=True)
sys.stdin.read()
