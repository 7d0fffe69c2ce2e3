# The reviewed file of exceptions for fixed-output derivations: its options, its text, and its check.
{ lib }:
let
  inherit (lib) mkOption types;

  name =
    what: example:
    mkOption {
      type = types.nullOr types.nonEmptyStr;
      default = null;
      inherit example;
      description = what;
    };
  limit =
    what:
    mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      description = "${what}. Null leaves it to the proxy.";
    };

  exception = types.submodule {
    options = {
      derivation = name "The name of the derivation's output; `*` stands for anything." "linux-firmware-*";
      output = name "The store path of its output, which follows from name and hash." "/nix/store/6r3kfx4sbyq5yvzr9lkd9q0lh5vj2kwh-source";
      class = name "The word of its class, as `snowguard fod list` shows it." "git";
      tool = name "The name of its tool." "cargo";
      hosts = mkOption {
        type = types.nonEmptyListOf types.nonEmptyStr;
        example = [
          "mirror.example.org"
          "*.cdn.example.org:8443"
        ];
        description = "What may be reached.";
      };
      protocols = mkOption {
        type = types.nonEmptyListOf (
          types.enum [
            "https"
            "http"
          ]
        );
        default = [ "https" ];
        description = "By these protocols.";
      };
      private = mkOption {
        type = types.bool;
        default = false;
        description = "Also at addresses of a network of one's own; needs output.";
      };
      reason = mkOption {
        type = types.nonEmptyStr;
        description = "Why.";
      };
      expires = mkOption {
        type = types.strMatching "[0-9]{4}-[0-9]{2}-[0-9]{2}";
        example = "2027-01-01";
        description = "Until which day, that day included.";
      };
    };
  };

  # What JSON writes, TOML reads; but for a day, which has no quotes.
  value = key: what: if key == "expires" then what else builtins.toJSON what;
  # All that is said.
  entries =
    set:
    builtins.concatStringsSep "" (
      map (key: if set.${key} == null then "" else "${key} = ${value key set.${key}}\n") (
        builtins.attrNames set
      )
    );
in
rec {
  # What stands in the file.
  type = types.submodule {
    options = {
      limits = {
        bytes = limit "So many bytes come for one derivation";
        requests = limit "So many requests it makes";
        redirects = limit "So many redirects it follows in a row";
        seconds = limit "So long it takes from its first request on";
      };
      exception = mkOption {
        type = types.listOf exception;
        default = [ ];
        description = "What derivations may reach beyond what they say.";
      };
    };
  };

  # The file. Needs nothing of `lib`, so that it is tried without NixOS, too.
  text =
    policy:
    "[limits]\n${entries policy.limits}"
    + builtins.concatStringsSep "" (map (one: "\n[[exception]]\n${entries one}") policy.exception);

  # The file in the store, once the proxy's own reader has taken it: what it would refuse when it starts is
  # refused when the system is built. Programs of another platform do not run here; the proxy reads it all the same.
  file =
    {
      pkgs,
      package,
      name,
    }:
    policy:
    pkgs.runCommand name
      {
        text = text policy;
        passAsFile = [ "text" ];
        preferLocalBuild = true;
      }
      (
        ''
          cp "$textPath" fod-policy.toml
        ''
        + lib.optionalString (pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform) ''
          ${package}/bin/snowguardd fod-policy fod-policy.toml
        ''
        + ''
          cp fod-policy.toml "$out"
        ''
      );
}
