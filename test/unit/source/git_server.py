#!/usr/bin/env python3
"""A Git server on loopback for the tests of source/: `git http-backend` behind HTTP or TLS, with faults on demand.

git_server.py ROOT [CERT KEY [CLIENT_CA]]: serves the repositories below ROOT, writes its port to ROOT/port, a line for each
request to ROOT/log, and behaves as ROOT/mode says (read anew for each request):
  basic, bearer        refuse what has not user:secret / the token
  old                  answer in protocol v0 whatever is asked
  status N             answer N to all; rpc-status N: to POST only
  page                 a web page with 200
  cut N                drop the connection after N bytes of a POST's answer; cut-refs N: of a GET's
  corrupt              flip a byte in the middle of a pack
  pack FILE            answer every POST for a pack with this one, whatever was asked for
  redirect URL         GET leads there
  stall                answer nothing for 3 s, then close
It ends by itself after 300 s or with its parent.
"""
import base64, http.server, os, socketserver, ssl, subprocess, sys, threading, time

ROOT = sys.argv[1]


def mode():
    try:
        with open(os.path.join(ROOT, "mode")) as f:
            return f.read().split() or [""]
    except FileNotFoundError:
        return [""]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def plain(self, status, headers=(), body=b"no\n", kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, how, body):
        """Answers by the mode; True when that was all."""
        word = how[0]
        given = self.headers.get("Authorization", "")
        if word == "basic" and given != "Basic " + base64.b64encode(b"user:secret").decode():
            self.plain(401, [("WWW-Authenticate", 'Basic realm="git"')])
        elif word == "bearer" and given != "Bearer tok-secret":
            self.plain(401, [("WWW-Authenticate", "Bearer")])
        elif word == "status" or (word == "rpc-status" and self.command == "POST"):
            self.plain(int(how[1]))
        elif word == "page":
            self.plain(200, body=b"<html>log in</html>", kind="text/html")
        elif word == "redirect" and self.command == "GET":
            self.plain(301, [("Location", how[1])])
        elif word == "pack" and self.command == "POST" and b"want " in body:
            with open(os.path.join(ROOT, how[1]), "rb") as f:
                pack = f.read()
            parts = [pack[i:i + 60000] for i in range(0, len(pack), 60000)]
            frames = b"".join(b"%04x\x01" % (len(part) + 5) + part for part in parts)
            self.plain(200, body=b"0008NAK\n" + frames + b"0000", kind="application/x-git-upload-pack-result")
        elif word == "stall":
            time.sleep(3)
            self.close_connection = True
        else:
            return False
        return True

    def backend(self, how, body):
        path, _, query = self.path.partition("?")
        env = {
            "PATH": os.environ["PATH"], "HOME": ROOT, "GIT_CONFIG_NOSYSTEM": "1", "GIT_PROJECT_ROOT": ROOT, "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }
        if how[0] != "old":
            env["GIT_PROTOCOL"] = self.headers.get("Git-Protocol", "")
        if self.headers.get("Content-Encoding") == "gzip":
            env["HTTP_CONTENT_ENCODING"] = "gzip"
        done = subprocess.run(["git", "http-backend"], input=body, env=env, stdout=subprocess.PIPE, timeout=60)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        status, headers = 200, []
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            elif name:
                headers.append((name, value))
        return status, headers, content

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        how = mode()
        with open(os.path.join(ROOT, "log"), "a") as log:
            log.write("%s %s v=%s auth=%s\n" % (self.command, self.path, self.headers.get("Git-Protocol", ""),
                                               self.headers.get("Authorization", "-")))
        if self.refuse(how, body):
            return
        status, headers, content = self.backend(how, body)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if how[0] == "corrupt" and self.command == "POST" and b"PACK" in content:
            at = content.index(b"PACK") + (len(content) - content.index(b"PACK")) // 2
            content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]
        if (how[0] == "cut" and self.command == "POST") or (how[0] == "cut-refs" and self.command == "GET"):
            content = content[:int(how[1])]
            self.close_connection = True
        self.wfile.write(content)

    do_GET = do_POST = serve


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True


def bind():
    for port in range(21000 + os.getpid() % 5000, 32000):
        try:
            return Server(("127.0.0.1", port), Handler)
        except OSError:
            continue
    sys.exit("no free port")


def watch(parent):
    for _ in range(600):
        time.sleep(0.5)
        if os.getppid() != parent:
            break
    os._exit(0)


threading.Thread(target=watch, args=(os.getppid(),), daemon=True).start()
server = bind()
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    if len(sys.argv) > 4:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(os.path.join(ROOT, "port.tmp"), "w") as f:
    f.write(str(server.server_address[1]))
os.rename(os.path.join(ROOT, "port.tmp"), os.path.join(ROOT, "port"))
server.serve_forever()
