"""The stand-in for a provider that is gone answers what lets stacks be deleted, and nothing else."""

import json
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer

from template import PROVIDER, ROOT, Evaluation, load

SAMPLE = ROOT / "samples" / "say-yes.yaml"


class Bucket(BaseHTTPRequestHandler):
    """Keeps the one answer that is put into it."""

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answer = (self.path, self.headers["Content-Type"], json.loads(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class SayYes(unittest.TestCase):
    def setUp(self):
        self.function = Evaluation(load(SAMPLE)).resources()["Function"]["Properties"]

    def answer(self, **event: str) -> tuple:
        """Path, type and content of what the function of the template answers."""
        program = {}
        exec(self.function["Code"]["ZipFile"], program)
        with HTTPServer(("127.0.0.1", 0), Bucket) as server:
            server.timeout = 10
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            url = f"http://127.0.0.1:{server.server_port}/answer?Signature=a"
            program["handler"](
                {"ResponseURL": url, "StackId": "stack", "RequestId": "1", "LogicalResourceId": "Image", **event}, None
            )
            thread.join()
            return server.answer

    def test_yes_is_said_to_delete_alone(self):
        for request, status in [("Delete", "SUCCESS"), ("Create", "FAILED"), ("Update", "FAILED")]:
            with self.subTest(request):
                path, kind, answer = self.answer(RequestType=request, PhysicalResourceId="python:3.13")
                # A type would break the signature of the address.
                self.assertEqual((path, kind), ("/answer?Signature=a", ""))
                self.assertEqual((answer["Status"], answer["PhysicalResourceId"]), (status, "python:3.13"))
                self.assertEqual(
                    (answer["StackId"], answer["RequestId"], answer["LogicalResourceId"]), ("stack", "1", "Image")
                )
        self.assertTrue(self.answer(RequestType="Create")[2]["PhysicalResourceId"])

    def test_it_has_the_name_of_the_provider(self):
        self.assertEqual(self.function["FunctionName"], load(PROVIDER)["Parameters"]["FunctionName"]["Default"])


if __name__ == "__main__":
    unittest.main()
