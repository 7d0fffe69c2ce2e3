# What the proxy is started with, by its options. Needs nothing of `lib`, so that it is tried without NixOS, too.
proxy:
let
  each = option: map (value: "${option}=${value}");
  when = condition: arguments: if condition then arguments else [ ];
in
[
  "fod-proxy"
  "--mode=${proxy.mode}"
]
++ each "--listen" proxy.listen
++ [
  "--control=/run/snowguard-fod-proxy/control.sock"
  "--policy=/etc/snowguard/fod-policy.toml"
  "--evidence=/var/lib/snowguard-fod-proxy/evidence.jsonl"
  "--evidence-size=${toString proxy.evidence.size}"
  "--evidence-files=${toString proxy.evidence.files}"
  "--connections=${toString proxy.connections}"
]
++ each "--ca-file" proxy.caFiles
# Where TLS is taken off, builds have to trust the proxy.
++ when (proxy.mode == "inspect" || proxy.mode == "replay") [
  "--ca-out=/run/snowguard-fod-proxy/ca.pem"
]
++ when (proxy.mode == "replay" || proxy.mode == "inspect" && proxy.record) [
  "--record=/var/lib/snowguard-fod-proxy/record"
]
++ when (proxy.metrics != null) [ "--metrics=${toString proxy.metrics}" ]
++ [ "--log=json" ]
++ proxy.arguments
