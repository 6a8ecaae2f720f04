#!/usr/bin/env bash
# `make images`: everything that goes into images, then the images, and no cluster.
set -euo pipefail
exec "$(dirname "$0")/deploy.sh" --images
