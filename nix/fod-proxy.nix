# The way of fixed-output derivations to the network, as a service: `snowguardd fod-proxy`.
#
# The unit is that of the package, with its restrictions. This module says what it is started with, writes the
# reviewed exceptions, and opens ports where that is asked for.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib)
    hasPrefix
    literalExpression
    mkEnableOption
    mkIf
    mkOption
    types
    ;

  snowguard = config.services.snowguard;
  cfg = snowguard.fodProxy;

  policy = import ./fod-policy.nix { inherit lib; };
  policyFile = policy.file {
    inherit pkgs;
    inherit (snowguard) package;
    name = "snowguard-fod-policy.toml";
  } cfg.policy;

  # HOST:PORT, where HOST is an address.
  isOfThisMachine = address: hasPrefix "127." address || hasPrefix "[::1]:" address;
  open = lib.filter (address: !isOfThisMachine address) cfg.listen;
  portOf = address: lib.toInt (lib.last (lib.splitString ":" address));
in
{
  imports = [ ./package.nix ];

  options.services.snowguard.fodProxy = {
    enable = mkEnableOption "the proxy through which fixed-output derivations reach the network";

    mode = mkOption {
      type = types.enum [
        "audit"
        "tunnel"
        "inspect"
        "replay"
      ];
      default = "audit";
      description = ''
        What becomes of a request: audit denies nothing and says what it would deny, tunnel denies what is not
        allowed, inspect also takes TLS off to see bodies, replay answers from what inspect kept.
      '';
    };

    listen = mkOption {
      type = types.nonEmptyListOf (types.strMatching "([0-9.]+|\\[[0-9a-fA-F:.]+]):[0-9]+");
      default = [ "127.0.0.1:3128" ];
      description = "Addresses with ports at which it listens.";
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Opens the ports of those that are not of this machine alone. Whoever reaches them needs a token.";
    };

    policy = mkOption {
      inherit (policy) type;
      default = { };
      example = literalExpression ''
        {
          exception = [
            {
              derivation = "linux-firmware-*";
              hosts = [ "cdn.example.org" ];
              reason = "upstream moved, and has not said so";
              expires = "2027-01-31";
            }
          ];
        }
      '';
      description = ''
        The reviewed exceptions and the limits, /etc/snowguard/fod-policy.toml. The system is not built with
        one that the proxy would refuse.
      '';
    };

    record = mkOption {
      type = types.bool;
      default = false;
      description = "Whether inspect keeps bodies, for replay.";
    };

    evidence = {
      size = mkOption {
        type = types.ints.positive;
        default = 64;
        description = "So many MiB a file of evidence has before it is put aside.";
      };
      files = mkOption {
        type = types.ints.unsigned;
        default = 7;
        description = "So many that were put aside are kept, of requests and of verdicts each.";
      };
    };

    connections = mkOption {
      type = types.ints.positive;
      default = 4096;
      description = "So many connections at a time.";
    };

    caFiles = mkOption {
      type = types.listOf (types.strMatching "/.+");
      default = [ ];
      example = [ "/etc/ssl/certs/own.pem" ];
      description = "Certificates in PEM to trust beside the system's. The unit does not see /home and /root.";
    };

    metrics = mkOption {
      type = types.nullOr (types.strMatching "unix:/.+|127\\.[0-9.]+:[0-9]+|\\[::1]:[0-9]+");
      default = "unix:/run/snowguard-fod-proxy/metrics.sock";
      description = "Where Prometheus fetches metrics.";
    };

    arguments = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--resolve=mirror.example.org=192.0.2.1" ];
      description = "More arguments of `snowguardd fod-proxy`.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.openFirewall -> cfg.mode != "audit";
        message = "services.snowguard.fodProxy.openFirewall: an audit carries what anybody asks for; choose another mode, or let in whom you trust by networking.firewall.interfaces.";
      }
      {
        assertion = cfg.openFirewall -> open != [ ];
        message = "services.snowguard.fodProxy.openFirewall opens nothing: listen has addresses of this machine alone.";
      }
    ];
    warnings = lib.optional (cfg.mode == "audit" && open != [ ]) (
      "services.snowguard.fodProxy: an audit denies nobody, and listens at "
      + "${lib.concatStringsSep ", " open}: whoever gets there goes out through this machine."
    );

    environment.systemPackages = [ snowguard.package ];
    environment.etc."snowguard/fod-policy.toml".source = policyFile;
    systemd.packages = [ snowguard.package ];

    networking.firewall.allowedTCPPorts = mkIf cfg.openFirewall (lib.unique (map portOf open));

    systemd.services.snowguard-fod-proxy = {
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ policyFile ];
      # The first, empty value takes back that of the package.
      serviceConfig.ExecStart = [
        ""
        (utils.escapeSystemdExecArgs (
          [ "${snowguard.package}/bin/snowguardd" ] ++ import ./fod-proxy-arguments.nix cfg
        ))
      ];
      # A connection takes two files, and the unit's limit is for 16,000.
      serviceConfig.LimitNOFILE = mkIf (cfg.connections > 16000) (2 * cfg.connections + 768);
    };
  };
}
