"""Serves moto on 127.0.0.1, one request at a time; the port is the only argument.

moto's own server answers every connection in a thread of its own, and its TransactWriteItems is not isolated: it
copies the table, writes item by item, and on a failed condition puts the copy back, with it undoing whatever other
requests wrote in between. Acknowledged transactions were lost and half ones seen that way, which DynamoDB never does.
"""

import io
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple


class OneAtATime:
    """A WSGI application that is never in two requests at once."""

    def __init__(self, application):
        self.application = application
        self.turn = threading.Lock()

    def __call__(self, environ, start_response):
        # The body is read before the turn comes: a slow sender holds nobody up.
        if length := environ.get("CONTENT_LENGTH"):
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))
        with self.turn:
            answer = self.application(environ, start_response)
            try:
                return list(answer)
            finally:
                if hasattr(answer, "close"):
                    answer.close()


if __name__ == "__main__":
    run_simple(
        "127.0.0.1",
        int(sys.argv[1]),
        OneAtATime(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
