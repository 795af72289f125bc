"""A forward proxy, as companies have one: whoever is behind it knows no way out but through it, and cannot resolve names."""

import http.client
import http.server
import threading
import urllib.parse


class WebProxy:
    """`with WebProxy() as proxy`: its address is proxy.url. Requests for NAME.invalid:PORT go to that port of the loopback; `asked` has each
    (method, host)."""

    def __enter__(self):
        proxy, self.asked = self, set()

        class Handler(http.server.BaseHTTPRequestHandler):
            def forward(self):
                target = urllib.parse.urlsplit(self.path)
                proxy.asked.add((self.command, target.hostname))
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                way = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
                way.request(self.command, target._replace(scheme="", netloc="").geturl(), body,
                            {k: v for k, v in self.headers.items() if not k.lower().startswith("proxy-")})
                answer = way.getresponse()
                content = answer.read()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_HEAD = forward

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
