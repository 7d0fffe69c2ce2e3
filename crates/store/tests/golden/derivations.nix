# What a current Nix was asked for the golden vectors. Needs the experimental features `ca-derivations`,
# `impure-derivations`, `dynamic-derivations` and `git-hashing`; `new` also SHA-256 with Git and BLAKE3.
{ new }:
let
  make = attrs: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // attrs);
  drv = d: builtins.unsafeDiscardOutputDependency d.drvPath;
  of = builtins.outputOf;
  sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
  sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

  plain = make { name = "plain-1.0"; outputs = [ "out" "dev" ]; args = [ "-e" "a\n\"b\"\\" ]; odd = "ü\t☃"; };
  flat = make { name = "flat.tar.gz"; outputHashAlgo = "sha256"; outputHash = sha256; };
  nar = make { name = "nar"; outputHashMode = "recursive"; outputHash = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="; };
  text = make { name = "text"; outputHashMode = "text"; outputHashAlgo = "sha256"; outputHash = sha256; };
  git = make { name = "git"; outputHashMode = "git"; outputHashAlgo = "sha1"; outputHash = sha1; };
  floating = make { name = "floating"; __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; outputs = [ "out" "doc" ]; };
  impure = make { name = "impure"; __impure = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
  producer = make { name = "producer.drv"; __contentAddressed = true; outputHashMode = "text"; outputHashAlgo = "sha256"; };
  nested = make { name = "nested.drv.drv"; __contentAddressed = true; outputHashMode = "text"; outputHashAlgo = "sha256"; };
in
[
  plain flat nar text git floating impure producer nested
  (make { name = "inputs"; inherit plain flat nar text git; src = builtins.toFile "src" "source"; inherit (plain) dev; })
  (make { name = "deferred"; input = floating.doc; })
  (make { name = "on-impure"; input = impure; __impure = true; outputHashMode = "flat"; outputHashAlgo = "sha256"; })
  (make { name = "dynamic"; a = of producer.outPath "out"; b = of producer.outPath "dev"; c = plain; d = producer; })
  (make { name = "dynamic-twice"; a = of (of nested.outPath "out") "out"; b = of nested.outPath "bin"; c = of (of nested.outPath "bin") "x"; })
  (make {
    name = "structured";
    __structuredAttrs = true;
    outputs = [ "out" "dev" ];
    list = [ 1 2.5 (-3) true null "ü\"\\\n" [ ] { } ];
    nested = { b.a = 1.0e-7; a = 100000000000000000000.0; };
    drv = drv plain;
    inherit plain;
  })
] ++ (if new then [
  (make { name = "git-sha256"; outputHashMode = "git"; outputHashAlgo = "sha256"; outputHash = sha256; })
  (make { name = "blake3"; outputHashAlgo = "blake3"; outputHash = "blake3-rxNJucf59CGg3LcB5a37GTrRLclybPNAzFlUESVrrno="; })
  (make { name = "blake3-nar"; outputHashMode = "nar"; outputHashAlgo = "blake3"; outputHash = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"; })
] else [ ])
