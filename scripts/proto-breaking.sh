#!/bin/sh
# Fails when the contract breaks what clients of an earlier commit rely on (buf breaking, rule set FILE).
# The earlier commit is $PROTO_BASE, else HEAD while proto/ has uncommitted changes, else the commit before
# the last one that changed proto/. Without git, or without an earlier contract (first commit, shallow
# clone), there is nothing to compare: it says so and succeeds.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH

skip() {
  echo "proto-breaking: skipped: $1"
  exit 0
}

git rev-parse --verify --quiet HEAD >/dev/null 2>&1 || skip 'this is no git clone with commits'
if [ -n "${PROTO_BASE:-}" ]; then
  base=$PROTO_BASE
elif [ -n "$(git status --porcelain -- proto/mydocker)" ]; then
  base=HEAD
else
  last=$(git log -1 --format=%H -- proto/mydocker)
  [ -n "$last" ] || skip 'no commit has a contract'
  base=$last^
fi
commit=$(git rev-parse --verify --quiet "$base^{commit}") || {
  [ -z "${PROTO_BASE:-}" ] || { echo "proto-breaking: no commit $base" >&2; exit 1; }
  skip "no commit before $last in this clone"
}
[ -n "$(git ls-tree "$commit" proto/mydocker/)" ] || skip "commit $commit has no contract yet"

before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
# An archive rather than buf's own .git#ref= input: it works in shallow clones and worktrees too.
git archive "$commit" proto buf.yaml | tar -x -C "$before"
buf breaking --against "$before"
echo "proto-breaking: nothing breaks clients of commit $(git rev-parse --short "$commit")"
