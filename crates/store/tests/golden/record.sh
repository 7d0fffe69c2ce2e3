#!/bin/sh
# Records the golden vectors of the Nix on PATH: `record.sh DIRECTORY`, with a current Nix, as root or not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
scratch=$(mktemp -d)
export HOME="$scratch" NIX_REMOTE= NIX_CONF_DIR="$scratch" NIX_STATE_DIR="$scratch/var"
export NIX_CONFIG="experimental-features = nix-command ca-derivations impure-derivations dynamic-derivations git-hashing blake3-hashes
substitute = false
store = $scratch/root"
new=${NEW-true}
mkdir -p "$out"
nix --version > "$out/version"
nix-instantiate "$here/derivations.nix" --arg new "$new" > "$scratch/drvs"
sed 's/$/^*/' "$scratch/drvs" | xargs nix derivation show > "$out/derivations.json"
rm -rf "$out/drvs"
mkdir "$out/drvs"
while read -r drv; do cp "$scratch/root$drv" "$out/drvs/"; done < "$scratch/drvs"
chmod -R u+w "$out/drvs"

# A few store objects, with signatures, and what Nix says of them.
printf 'text' > "$scratch/text"
mkdir "$scratch/tree"
printf 'file' > "$scratch/tree/file"
nix-store --generate-binary-cache-key golden-1 "$scratch/secret" "$out/public-key"
{
  nix-store --add-fixed sha256 "$scratch/text"
  nix-store --add-fixed --recursive sha256 "$scratch/tree"
  nix-store --add-fixed --recursive sha1 "$scratch/text"
  nix store add --mode git --hash-algo sha1 --name git-object "$scratch/tree"
  nix-instantiate --eval --read-write-mode -E 'let a = builtins.toFile "a" "text"; in builtins.toFile "b" "see ${a}"' | tr -d '"'
} > "$scratch/paths"
xargs nix store sign --key-file "$scratch/secret" --recursive < "$scratch/paths"
for format in ${FORMATS-1 2}; do
  flag="--json-format $format"
  if [ "$format" = old ]; then flag=; fi
  xargs nix path-info --recursive --json $flag < "$scratch/paths" | sed -E 's/"registrationTime":[0-9]+/"registrationTime":1700000000/g' > "$out/path-info-$format.json"
done
xargs nix copy --no-check-sigs --to "file://$scratch/cache?compression=none" < "$scratch/paths"
rm -rf "$out/narinfo"
mkdir "$out/narinfo"
cp "$scratch"/cache/*.narinfo "$out/narinfo/"
chmod -R u+w "$out/narinfo"
chmod -R u+w "$scratch"
rm -rf "$scratch"
