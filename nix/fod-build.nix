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
    ;

  snowguard = config.services.snowguard;
  cfg = snowguard.fodBuild;
  policy = import ./fod-policy.nix { inherit lib; };
in
{
  imports = [ ./package.nix ];

  options.services.snowguard.fodBuild = {
    enable = mkEnableOption "builds whose fixed-output derivations reach the network through a proxy only";

    policy = mkOption {
      inherit (policy) type;
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
      description = ''
        The reviewed exceptions and the limits, /etc/snowguard/fod-build-policy.toml. The system is not built
        with one that the proxy would refuse.
      '';
    };
  };

  config = mkIf cfg.enable {
    environment.systemPackages = [
      snowguard.package
      pkgs.nftables
    ];
    environment.etc."snowguard/fod-build-policy.toml".source = policy.file {
      inherit pkgs;
      inherit (snowguard) package;
      name = "snowguard-fod-build-policy.toml";
    } cfg.policy;
  };
}
