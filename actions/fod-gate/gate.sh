#!/usr/bin/env bash
# The gate for what a change fetches, for any CI: says whether it may pass, and leaves its reports behind.
#
#   BASE=base/ HEAD=head/ WAIVERS=base-checkout/ci/fod-waivers.toml actions/fod-gate/gate.sh
#
# Everything comes in by the environment, so that no text of whoever makes the change becomes code:
#   BASE, HEAD   derivations before and after, in any form that `snowguard fod list` reads
#   BASE_DERIVATIONS, HEAD_DERIVATIONS  where these are package sets: all of their derivations, a directory
#                or tar of .drv files, or their JSON                              [default: none]
#   WAIVERS      what is accepted; take it from the base, not from the change    [default: none]
#   VERIFIED     results of fetching again, snowguard-fod-verify/1               [default: none]
#   VERIFY       true: fetch again what the change adds or alters, through the proxy [default: false]
#   POLICY       with VERIFY, exceptions of the proxy; take it from the base     [default: none]
#   DIRECT       true: with VERIFY, without the proxy; the summary says so       [default: false]
#   BUILD        true: with VERIFY, build with Nix what only a build can tell; unless DIRECT, where it
#                reaches nothing but the proxy                                   [default: false]
#   BUILD_STORE  with BUILD, the store in which that is built: as Nix's --store takes it, or auto
#                                                       [default: one that is gone afterwards]
#   BUILD_TIMEOUT  with BUILD, how many seconds one build may take              [default: 10800]
#   HELPER       with BUILD, the program that makes the network for it
#                                               [default: snowguard-confine beside SNOWGUARD]
#   QUEUE        with VERIFY, keeps what was done: a file or the URL of a database [default: nothing is kept];
#                whoever makes the change must not be able to write into it
#   CA_FILE      with VERIFY, authorities that are trusted beside the system's   [default: none]
#   INCOMPLETE   true: derivations that could not be read are only noted         [default: false]
#   FAIL_ON      error, warning, note or never                                   [default: warning]
#   REPORTS      where reports go: summary.md, gate.sarif, gate.json, and with the
#                proxy evidence.jsonl                                            [default: fod-gate]
#   SNOWGUARD    the program                                                     [default: snowguard]
#   SNOWGUARDD   the program with the proxy                                      [default: snowguardd beside it]
# Exit status: 0 it may pass, 1 it may not, 2 the check itself failed.
set -u

fail() {
  printf 'fod-gate: %s\n' "$1" >&2
  exit 2
}
[ -n "${BASE:-}" ] && [ -n "${HEAD:-}" ] || fail 'BASE and HEAD must say what to compare'
reports=${REPORTS:-fod-gate}
mkdir -p -- "$reports" || fail 'cannot make the directory of the reports'
# What an earlier run left must not be taken for the result of this one.
rm -f -- "$reports/summary.md" "$reports/gate.sarif" "$reports/gate.json" "$reports"/evidence.jsonl*

arguments=(
  --fail-on "${FAIL_ON:-warning}"
  --summary "$reports/summary.md" --sarif "$reports/gate.sarif" --json "$reports/gate.json"
)
[ -z "${BASE_DERIVATIONS:-}" ] || arguments+=(--base-derivations "$BASE_DERIVATIONS")
[ -z "${HEAD_DERIVATIONS:-}" ] || arguments+=(--head-derivations "$HEAD_DERIVATIONS")
[ -z "${WAIVERS:-}" ] || arguments+=(--waivers "$WAIVERS")
[ -z "${VERIFIED:-}" ] || arguments+=(--verified "$VERIFIED")
[ -z "${QUEUE:-}" ] || arguments+=(--queue "$QUEUE")
[ -z "${CA_FILE:-}" ] || arguments+=(--ca-file "$CA_FILE")
[ -z "${POLICY:-}" ] || arguments+=(--policy "$POLICY")
# A word that nobody knows must not be taken for "no".
switch() {
  case $2 in
    '' | 0 | false) ;;
    1 | true) arguments+=("$3") ;;
    *) fail "$1 must be true or false" ;;
  esac
}
switch VERIFY "${VERIFY:-}" --verify
switch DIRECT "${DIRECT:-}" --direct
case ${VERIFY:-}/${DIRECT:-} in
  1/ | 1/0 | 1/false | true/ | true/0 | true/false)
    arguments+=(--evidence "$reports/evidence.jsonl")
    [ -z "${SNOWGUARDD:-}" ] || arguments+=(--daemon "$SNOWGUARDD")
    [ -z "${HELPER:-}" ] || arguments+=(--helper "$HELPER")
    ;;
esac
switch BUILD "${BUILD:-}" --build
[ -z "${BUILD_STORE:-}" ] || arguments+=(--build-store "$BUILD_STORE")
[ -z "${BUILD_TIMEOUT:-}" ] || arguments+=(--build-timeout "$BUILD_TIMEOUT")
switch INCOMPLETE "${INCOMPLETE:-}" --allow-incomplete

# A runner of GitHub takes lines of a log for commands; from here to the end it takes none.
token=
if [ "${GITHUB_ACTIONS:-}" = true ]; then
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '::stop-commands::%s\n' "$token"
fi
"${SNOWGUARD:-snowguard}" fod gate "${arguments[@]}" -- "$BASE" "$HEAD"
status=$?
[ -z "$token" ] || printf '::%s::\n' "$token"

if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  if [ -s "$reports/summary.md" ]; then
    cat -- "$reports/summary.md" >>"$GITHUB_STEP_SUMMARY"
  else
    printf '## What this change fetches: the check failed\n\nIt says nothing about the change; its log says why.\n' \
      >>"$GITHUB_STEP_SUMMARY"
  fi
fi
case $status in
  0 | 1) exit "$status" ;;
  *) fail 'the check itself failed: nothing is known of the change' ;;
esac
