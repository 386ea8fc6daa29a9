"""Drives Cloud Run with Google's own client: a service from its creation to its end."""

import sys

from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import run_v2
from google.oauth2.credentials import Credentials
from google.protobuf.json_format import MessageToDict
from driver import tell

PARENT = "projects/acme/locations/europe-west1"
NAME = f"{PARENT}/services/agent"
IMAGE = "europe-west1-docker.pkg.dev/acme/agents/agent@sha256:"

MADE = {
    "credentials": Credentials(token="ya29.canary"),
    "client_options": ClientOptions(api_endpoint=sys.argv[1]),
    "transport": "rest",
}
services, revisions = run_v2.ServicesClient(**MADE), run_v2.RevisionsClient(**MADE)
told = []


def service(digit, **members):
    container = run_v2.Container(image=IMAGE + 64 * digit, env=[run_v2.EnvVar(name="A", value="1")])
    return run_v2.Service(template=run_v2.RevisionTemplate(containers=[container]), **members)


def keep(title, call):
    """Notes what of an answer a story is about, or the error."""
    try:
        told.append([title, call()])
    except GoogleAPICallError as refusal:
        told.append([title, refusal.code, refusal.response.json()["error"]["status"]])


def short(name):
    return name.rpartition("/")[2]


def look():
    """Notes which revision there is, which is ready, and whether more is to come."""

    def call():
        one = services.get_service(name=NAME)
        state = one.terminal_condition.state.name
        return [short(one.latest_created_revision), short(one.latest_ready_revision), state, one.reconciling]

    keep("look", call)


def create():
    # What an operation makes is seen at the service.
    created = service("0", labels={"managed-by": "dockless"})
    return services.create_service(parent=PARENT, service=created, service_id="agent").operation.name


look()
keep("create", create)
keep("create", create)
look()
look()
look()
keep("whole", lambda: MessageToDict(run_v2.Service.pb(services.get_service(name=NAME))))
update = {"service": service("1", name=NAME), "update_mask": {"paths": ["template"]}}
keep("update", lambda: services.update_service(**update).operation.name)
look()
look()
look()
keep("revisions", lambda: [short(revision.name) for revision in revisions.list_revisions(parent=NAME)])
keep("services", lambda: [one.name for one in services.list_services(parent=PARENT)])
keep("delete", lambda: services.delete_service(name=NAME).operation.name)
look()
look()
look()
tell(told)
