# Derivations of every shape, for the real Nix to instantiate.
#
# Each argument says whether this Nix has an experimental feature; `scratch` is a directory with
# `latin1`, a file that is not UTF-8, and `tree`, a small source tree.
{ scratch, ca, impure, dynamic, git, git-sha256, blake3 }:
let
  make = attrs: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // attrs);
  list = n: f: builtins.genList f n;
  digits = n: builtins.concatStringsSep "" (list n (i: builtins.toString (i - i / 10 * 10)));

  plain = make { name = "plain-1.0"; };
  multi = make { name = "multi-2.3.4"; outputs = [ "out" "dev" "bin" "zlib-extra" ]; };
  without-out = make { name = "without-out"; outputs = [ "lib" "bin" ]; };

  fixed = algo: mode: hash: make {
    name = "fixed-${mode}-${algo}.tar.gz";
    outputHashAlgo = algo;
    outputHashMode = mode;
    outputHash = hash;
    url = "https://example.org/fixed.tar.gz";
  };
  md5 = "d41d8cd98f00b204e9800998ecf8427e";
  sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
  sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  sha512 = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
  flat = fixed "sha256" "flat" sha256;

  # Every notation of a hash, and the algorithm said beside it or within it.
  notations = [
    (make { name = "nix32"; outputHashAlgo = "sha256"; outputHash = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"; })
    (make { name = "base64"; outputHashAlgo = "sha256"; outputHash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; })
    (make { name = "upper-case"; outputHashAlgo = "sha1"; outputHash = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"; })
    (make { name = "sri"; outputHashAlgo = "sha256"; outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; })
    (make { name = "sri-alone"; outputHashAlgo = ""; outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; })
    (make { name = "sri-sha512"; outputHashMode = "recursive"; outputHash = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="; })
    (make { name = "prefixed"; outputHash = "sha1:${sha1}"; })
    (make { name = "empty-hash"; outputHashAlgo = "sha256"; outputHash = ""; })
  ];

  source = builtins.path { path = scratch + "/tree"; name = "source"; };
  text = builtins.toFile "text" "some text";
  referring-text = builtins.toFile "referring-text" "see ${text} and ${source}";

  structured = make {
    name = "structured";
    __structuredAttrs = true;
    outputs = [ "out" "doc" ];
    string = "quote \" backslash \\ newline \n tab \t return \r bell ${bell} ünïcödé \$x";
    number = 42;
    negative = -7;
    float = 1.5;
    small = 0.0001;
    yes = true;
    no = false;
    nothing = null;
    empty = { };
    none = [ ];
    nested = { b = [ 1 [ 2 { c = "three"; } ] ]; a = { z = 1; y = { x = multi.dev; }; }; };
    inputs = [ plain multi flat source ];
    "strange key é \"" = "value";
  };
  structured-fixed = make {
    name = "structured-fixed";
    __structuredAttrs = true;
    outputHashAlgo = "sha256";
    outputHashMode = "recursive";
    outputHash = sha256;
    urls = [ "https://example.org/a" "https://example.org/b" ];
  };

  bell = builtins.fromJSON ''"\u0007\u0001\u001f\u007f"'';
  odd = make {
    name = "odd+name-._?=1.0";
    newline = "a\nb\n\nc\n";
    windows = "a\r\nb";
    tab = "\ta\t";
    quotes = "\"a\" 'b' `c`";
    backslashes = "a\\b\\\\c\\n";
    dollar = "$a \${b} $(c)";
    control = bell;
    unicode = "ünïcödé ☃ 💥 ﷽";
    empty = "";
    list = [ "a" "b c" 1 true null [ "d" ] ];
    "" = "empty name";
    "a b" = "space in name";
    "a\"b\\c\n" = "quote in name";
    "é" = "unicode in name";
    Z = "upper case sorts first";
    long = digits 300000;
    args = [ "-c" "echo \"$a\"\n" "" "ü" "\\" ];
  };

  many = make { name = "many"; inputs = list 400 (i: make { name = "input-${toString i}"; index = i; }); };
  chain = builtins.foldl' (before: i: make { name = "link-${toString i}"; inherit before; }) plain (list 300 (i: i));
  # The same derivation along very many paths.
  diamond = builtins.foldl' (before: i: make {
    name = "diamond-${toString i}";
    left = make { name = "left"; inherit before i; };
    right = make { name = "right"; inherit before i; };
  }) plain (list 30 (i: i));

  floating = make { name = "floating"; __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; outputs = [ "out" "dev" ]; };
  impure-drv = make { name = "impure"; __impure = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };

  everything = {
    inherit plain multi without-out notations structured structured-fixed odd many chain diamond;
    partial = [
      (make { name = "one-output"; input = multi.dev; })
      (make { name = "two-outputs"; a = multi.bin; b = multi.zlib-extra; })
      (make { name = "all-outputs"; inherit (multi) all; })
      (make { name = "no-out"; input = without-out; })
    ];
    fixed = list 2 (i: let mode = builtins.elemAt [ "flat" "recursive" ] i; in [
      (fixed "md5" mode md5)
      (fixed "sha1" mode sha1)
      (fixed "sha256" mode sha256)
      (fixed "sha512" mode sha512)
    ]);
    on-fixed = make { name = "on-fixed"; src = flat; other = builtins.head notations; };
    fixed-with-inputs = make { name = "fixed-with-inputs"; outputHashAlgo = "sha256"; outputHash = sha256; tool = multi.bin; src = flat; };
    sources = [
      (make { name = "with-sources"; inherit source text referring-text; })
      (make { name = "path-in-args"; args = [ "${source}/file" text ]; })
      (make { name = "builder-from-store"; builder = "${plain}/bin/build"; })
    ];
    builtin = derivation { name = "builtin"; system = "builtin"; builder = "builtin:fetchurl"; url = "https://example.org"; outputHashAlgo = "sha256"; outputHash = sha256; };
    minimal = derivation { name = "x"; system = "s"; builder = "b"; };
    nulls = make { name = "nulls"; __ignoreNulls = true; gone = null; here = ""; };
    passing = make { name = "passing"; passAsFile = [ "text" ]; text = digits 5000; };
    graph = make { name = "graph"; exportReferencesGraph = [ "one" plain "drv" multi.drvPath ]; };
    of-derivation = make { name = "of-derivation"; drv = structured-fixed.drvPath; };
    only-derivation = make { name = "only-derivation"; drv = builtins.unsafeDiscardOutputDependency plain.drvPath; };
    checks = make { name = "checks"; allowedReferences = [ plain "out" ]; disallowedRequisites = [ multi.dev ]; requiredSystemFeatures = [ "kvm" ]; preferLocalBuild = true; allowSubstitutes = false; };
    long-name = make { name = "n" + digits 206; };
    dotted = make { name = ".dotted-0.1"; };
    own-name-in-env = make { name = "own-name-in-env"; outputs = [ "out" "dev" ]; dev-path = "x"; };
    json-by-hand = make { name = "json-by-hand"; __json = ''{ "b" : 1, "a": [ 1.50 , "\u00e9" ] }''; };
    not-utf8 = make { name = "not-utf8"; text = builtins.readFile (scratch + "/latin1"); args = [ (builtins.readFile (scratch + "/latin1")) ]; };

    content-addressed = if ca then [
      floating
      (make { name = "floating-flat"; __contentAddressed = true; outputHashMode = "flat"; outputHashAlgo = "sha256"; })
      (make { name = "floating-sha512"; __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha512"; })
      (make { name = "deferred"; input = floating; outputs = [ "out" "lib" ]; })
      (make { name = "deferred-twice"; input = make { name = "deferred-once"; input = floating.dev; }; })
      (make { name = "floating-on-floating"; input = floating.dev; __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; })
      (make { name = "fixed-on-floating"; input = floating; outputHashAlgo = "sha256"; outputHash = sha256; })
      (make { name = "on-fixed-on-floating"; input = make { name = "fixed-between"; input = floating; outputHashAlgo = "sha256"; outputHash = sha256; }; })
    ] else null;
    impure = if impure then [
      impure-drv
      (make { name = "impure-flat"; __impure = true; outputHashMode = "flat"; outputHashAlgo = "sha256"; })
      (make { name = "on-impure"; input = impure-drv; })
    ] else null;
    dynamic = if dynamic then let
      producer = make { name = "producer.drv"; __contentAddressed = true; outputHashMode = "text"; outputHashAlgo = "sha256"; };
      nested = make { name = "nested.drv.drv"; __contentAddressed = true; outputHashMode = "text"; outputHashAlgo = "sha256"; };
      of = drv: output: builtins.outputOf drv output;
      unsafe = drv: builtins.unsafeDiscardOutputDependency drv.drvPath;
    in [
      producer
      nested
      (make { name = "text-fixed"; outputHashMode = "text"; outputHashAlgo = "sha256"; outputHash = sha256; })
      (make { name = "of-output"; input = of producer.outPath "out"; })
      (make { name = "of-outputs"; a = of producer.outPath "out"; b = of producer.outPath "dev"; c = producer; d = plain; })
      (make { name = "of-output-of-output"; a = of (of nested.outPath "out") "out"; b = of nested.outPath "bin"; c = of (of nested.outPath "dev") "lib"; })
      (make { name = "deep-dynamic"; a = of (of (of nested.outPath "a") "b") "c"; b = of (of nested.outPath "a") "x"; c = of (of nested.outPath "a") "z"; })
      (make { name = "dynamic-floating"; input = of producer.outPath "out"; __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; })
    ] else null;
    git = if git then [
      (make { name = "git-sha1"; outputHashMode = "git"; outputHashAlgo = "sha1"; outputHash = sha1; })
      (if git-sha256 then make { name = "git-sha256"; outputHashMode = "git"; outputHashAlgo = "sha256"; outputHash = sha256; } else null)
      (make { name = "on-git"; src = make { name = "git-src"; outputHashMode = "git"; outputHashAlgo = "sha1"; outputHash = sha1; }; })
    ] ++ (if ca then [ (make { name = "git-floating"; __contentAddressed = true; outputHashMode = "git"; outputHashAlgo = "sha1"; }) ] else [ ]) else null;
    blake3 = if blake3 then [
      (make { name = "blake3"; outputHashAlgo = "blake3"; outputHash = "blake3-rxNJucf59CGg3LcB5a37GTrRLclybPNAzFlUESVrrno="; })
      (make { name = "blake3-nar"; outputHashMode = "nar"; outputHashAlgo = "blake3"; outputHash = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"; })
    ] else null;
  };

  flatten = value:
    if value == null then [ ]
    else if builtins.isList value then builtins.concatLists (map flatten value)
    else [ value ];
in
builtins.concatLists (map flatten (builtins.attrValues everything))
