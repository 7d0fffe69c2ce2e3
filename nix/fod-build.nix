# Builds behind the proxy, `snowguard fod build`: its programs, nftables, and the reviewed exceptions.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkEnableOption
    mkIf
    mkOption
    types
    ;

  snowguard = config.services.snowguard;
  cfg = snowguard.fodBuild;
  format = pkgs.formats.toml { };

  exceptionType = types.submodule {
    freeformType = format.type;
    options = {
      hosts = mkOption {
        type = types.nonEmptyListOf types.str;
        description = "What may be reached.";
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

  # A day is written without quotes in TOML, which the generator cannot do.
  policyFile = pkgs.runCommand "snowguard-fod-build-policy.toml" {
    policy = format.generate "policy.toml" cfg.policy;
  } ''
    sed -E 's/^expires = "([0-9]{4}-[0-9]{2}-[0-9]{2})"$/expires = \1/' "$policy" > "$out"
  '';
in
{
  options.services.snowguard.fodBuild = {
    enable = mkEnableOption "builds whose fixed-output derivations reach the network through a proxy only";

    policy = mkOption {
      type = types.submodule {
        freeformType = format.type;
        options.exception = mkOption {
          type = types.listOf exceptionType;
          default = [ ];
          description = "What derivations may reach beyond what they say.";
        };
      };
      default = { };
      example = literalExpression ''
        {
          exception = [
            {
              derivation = "hello-*";
              hosts = [ "mirror.example.org" ];
              protocols = [ "http" ];
              reason = "the only mirror that has it";
              expires = "2027-01-01";
            }
          ];
        }
      '';
      description = "The reviewed file, /etc/snowguard/fod-build-policy.toml.";
    };
  };

  config = mkIf cfg.enable {
    environment.systemPackages = [
      snowguard.package
      pkgs.nftables
    ];
    environment.etc."snowguard/fod-build-policy.toml".source = policyFile;
  };
}
