#!/bin/sh
# Fetches axe-core again, as its authors publish it, and checks that it is the
# one that we know. For another version: change the two lines below.
set -eu
version=4.14.1
digest=29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cd "$work"
npm pack --silent "axe-core@$version" >/dev/null
tar xzf "axe-core-$version.tgz" package/axe.min.js
echo "$digest  package/axe.min.js" | sha256sum -c -
cp package/axe.min.js "$here/axe.min.js"
