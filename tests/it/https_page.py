"""Serves a page over TLS on a free port of the loopback interface: 503 to the first request, then 200. Writes the
certificate of its authority to authority.pem and prints the port, then the path and the token of each POST that it accepts."""

import datetime
import http.server
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(subject, key, issuer, issuer_key, authority):
    now = datetime.datetime.now(datetime.timezone.utc)
    name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


authority_key, own_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
with open("authority.pem", "wb") as file:
    file.write(certificate("An authority", authority_key, "An authority", authority_key, True))
with open("own.pem", "wb") as file:
    file.write(certificate("localhost", own_key, "An authority", authority_key, False))
    file.write(own_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))


class Page(http.server.BaseHTTPRequestHandler):
    requests = 0

    def do_GET(self):
        Page.requests += 1
        status = 503 if Page.requests == 1 else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return status

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.do_GET() == 200:
            print(self.path, self.headers["Authorization"], flush=True)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Ignores clients that reject the certificate, as one of the tests does."""


server = Server(("127.0.0.1", 0), Page)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("own.pem")
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
