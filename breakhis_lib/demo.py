"""A page on one's own machine: drop an image, see the answer and what moved it. Nothing leaves the machine.

Tornado serves it, which Jupyter brings along; the page is one form, which works without its script.
"""

import signal
import tempfile
import webbrowser
from pathlib import Path

from breakhis_lib import console, experiment
from breakhis_lib.data import images
from breakhis_lib.errors import InputError
from breakhis_lib.evaluation import figures
from breakhis_lib.model import weights as imagenet

try:
    from tornado import httpserver, httputil, ioloop, netutil, web
except ModuleNotFoundError:
    raise InputError("the demo needs Tornado: pip install 'breakhis-lib[demo]'.") from None


class Page(web.RequestHandler):
    """The one page: a form, and with it an answer or what is wrong."""

    def get(self, **shown):
        """Show the form, and what else is given."""
        self.render("demo.html", **{"row": None, "problem": None} | shown)

    def post(self):
        """Answer about the image that came with the form."""
        sent = (self.request.files.get("image") or [httputil.HTTPFile(filename="no file", body=b"")])[0]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / (Path(sent.filename).name or "image")
            try:
                path.write_bytes(sent.body)
                images.read_image(path)  # what is no image is told before a magnification is asked for
                magnification = int(self.get_body_argument("magnification", "") or 0) or None
                found, _ = experiment.predict([path], magnification=magnification, **self.settings["asked"])
                [picture] = figures.write_answers(found, self.settings["asked"]["record"], path.parent)
                self.get(row=found.iloc[0], name=path.name, picture=picture.read_bytes(), origin=console.origin)
            except Exception as error:
                self.get(problem=str(error).replace(str(path), path.name), foreseen=isinstance(error, InputError))


def serve(record, browser=True, say=print):
    """Serve the page to this machine alone, until Ctrl-C.

    record: Record with trained heads. browser: whether to open the page in one. say: called with a line. Raises
    InputError where the record has no trained head or ImageNet's weights are not to be had.
    """
    asked = {"record": record, "maps": True, "networks": {}}
    page = web.Application(template_path=Path(__file__).parent, asked=asked, heads=experiment.trained_heads(record))
    page.add_handlers(r"127\.0\.0\.1|localhost", [("/", Page)])  # under no other name, which might be another site's
    imagenet.load(report=say)  # now, and not while the first image waits
    sockets = netutil.bind_sockets(0, "127.0.0.1")  # at a free port
    loop = ioloop.IOLoop.current()
    signal.signal(signal.SIGINT, lambda number, frame: loop.asyncio_loop.call_soon_threadsafe(loop.stop))
    httpserver.HTTPServer(page).add_sockets(sockets)
    address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
    say(f"The demo: {address} (for this machine alone; Ctrl-C ends it)")
    if browser:
        loop.run_in_executor(None, webbrowser.open, address)
    loop.start()
