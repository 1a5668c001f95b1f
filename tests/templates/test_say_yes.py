"""The replacement of a deleted provider responds SUCCESS only to Delete."""

import json
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer

from template import PROVIDER, ROOT, Evaluation, load

SAMPLE = ROOT / "samples" / "say-yes.yaml"


class Bucket(BaseHTTPRequestHandler):
    """Stores the uploaded response."""

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.response = (self.path, self.headers["Content-Type"], json.loads(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class SayYes(unittest.TestCase):
    def setUp(self):
        self.function = Evaluation(load(SAMPLE)).resources()["Function"]["Properties"]

    def response(self, **event: str) -> tuple:
        """Runs the function of the template. Returns path, content type and content of its response."""
        program = {}
        exec(self.function["Code"]["ZipFile"], program)
        with HTTPServer(("127.0.0.1", 0), Bucket) as server:
            server.timeout = 10
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            url = f"http://127.0.0.1:{server.server_port}/response?Signature=a"
            program["handler"](
                {"ResponseURL": url, "StackId": "stack", "RequestId": "1", "LogicalResourceId": "Image", **event}, None
            )
            thread.join()
            return server.response

    def test_only_a_delete_succeeds(self):
        for request, status in [("Delete", "SUCCESS"), ("Create", "FAILED"), ("Update", "FAILED")]:
            with self.subTest(request):
                path, content_type, response = self.response(RequestType=request, PhysicalResourceId="python:3.13")
                # A content type would invalidate the signature of the URL.
                self.assertEqual((path, content_type), ("/response?Signature=a", ""))
                self.assertEqual((response["Status"], response["PhysicalResourceId"]), (status, "python:3.13"))
                self.assertEqual(
                    (response["StackId"], response["RequestId"], response["LogicalResourceId"]), ("stack", "1", "Image")
                )
        self.assertTrue(self.response(RequestType="Create")[2]["PhysicalResourceId"])

    def test_the_function_has_the_name_of_the_provider(self):
        self.assertEqual(self.function["FunctionName"], load(PROVIDER)["Parameters"]["FunctionName"]["Default"])


if __name__ == "__main__":
    unittest.main()
