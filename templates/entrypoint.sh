#!/bin/sh
# Becomes the agent's program: `exec` keeps it process 1, so that signals reach it.
set -eu

{% if entrypoint is defined and entrypoint[0] != dest %}
exec {{ entrypoint | shell }} "$@"
{% else %}
if [ "$#" -eq 0 ]; then
    echo "$0: no command: set cmd in the config, or give one to the container" >&2
    exit 64
fi
exec "$@"
{% endif %}
