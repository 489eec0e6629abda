#!/bin/sh
# Writes proto/gen anew: TypeScript (see buf.gen.yaml) and mydocker.binpb, the descriptor set that server
# reflection answers from: the contract, health and reflection with all imports, without comments.
# With a folder as argument: writes FOLDER/proto/gen instead.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH
out=${1:-.}
buf generate --output "$out"
buf build --as-file-descriptor-set --exclude-source-info --output "$out/proto/gen/mydocker.binpb"
