"""An S3 server for one test. It prints its address, and ends when its standard input is closed.

The test keeps the input open, so that the server ends with the test, even if the test is killed.
"""

import sys

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("{}:{}".format(*server.get_host_and_port()), flush=True)
sys.stdin.read()
