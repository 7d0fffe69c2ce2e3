# Scans this system when something changed, and tells what is new.
#
# The units are those of the package. This module writes watch.toml, starts the units that are wanted, and
# hands secrets over by LoadCredential, as paths only.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib)
    filterAttrs
    hasPrefix
    literalExpression
    mapAttrs
    mapAttrs'
    mapAttrsToList
    mkDefault
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    nameValuePair
    optional
    optionalAttrs
    types
    ;

  cfg = config.services.snowguard;
  format = pkgs.formats.toml { };

  inherit (import ./types.nix { inherit lib; }) length secret;
  severity = types.enum [
    "unrated"
    "low"
    "medium"
    "high"
    "critical"
  ];

  mkPolicy = own: {
    options = {
      enable = mkEnableOption "this notifier";
      minSeverity = mkOption {
        type = types.nullOr severity;
        default = null;
        example = "high";
        description = "The least severity that is told. Null leaves it to the notifier.";
      };
      exploitedAlways = mkOption {
        type = types.bool;
        default = true;
        description = "Tells what is known to be exploited, whatever its severity.";
      };
      resolved = mkOption {
        type = types.bool;
        default = true;
        description = "Tells what is fixed, withdrawn or suppressed.";
      };
      atMostEvery = mkOption {
        type = types.nullOr length;
        default = null;
        example = "1d";
        description = "Gathers changes for so long after a message. What is newly exploited does not wait.";
      };
      settings = mkOption {
        type = types.submodule { freeformType = format.type; };
        default = { };
        description = "More keys of this notifier in watch.toml.";
      };
    }
    // own;
  };
  policyOf =
    notifier:
    {
      exploited-always = notifier.exploitedAlways;
      inherit (notifier) resolved;
    }
    // optionalAttrs (notifier.minSeverity != null) { min-severity = notifier.minSeverity; }
    // optionalAttrs (notifier.atMostEvery != null) { at-most-every = notifier.atMostEvery; };
  notifier =
    what: own:
    mkOption {
      type = types.submodule (mkPolicy own);
      default = { };
      description = what;
    };

  own = {
    journal = _: { };
    desktop = _: { };
    file = notifier: { inherit (notifier) path; };
    mail =
      notifier:
      {
        inherit (notifier) to;
      }
      // optionalAttrs (notifier.from != null) { inherit (notifier) from; }
      // optionalAttrs (notifier.sendmail != null) { inherit (notifier) sendmail; };
    webhook =
      notifier:
      optionalAttrs (notifier.url != null) { inherit (notifier) url; }
      // optionalAttrs (notifier.urlFile != null) { url-file = "credential:url"; }
      // optionalAttrs (notifier.secretFile != null) { secret-file = "credential:secret"; }
      // optionalAttrs (notifier.authorizationFile != null) {
        authorization-file = "credential:authorization";
      };
  };
  wanted = filterAttrs (_: notifier: notifier.enable) cfg.notifiers;
  services = removeAttrs wanted [ "desktop" ];

  configFile = format.generate "snowguard-watch.toml" cfg.settings;
  listensOnTcp = cfg.metrics.listen != null && !hasPrefix "unix:" cfg.metrics.listen;
  privilegedMail = cfg.notifiers.mail.enable && cfg.notifiers.mail.setgid;
  # What ProtectHome= of the unit hides.
  isHidden =
    path:
    lib.any (home: path == home || hasPrefix "${home}/" path) [
      "/home"
      "/root"
      "/run/user"
    ];
in
{
  imports = [
    ./fod-build.nix
    ./fod-proxy.nix
    ./package.nix
    ./tracker.nix
  ];

  options.services.snowguard = {
    enable = mkEnableOption "scanning this system for known vulnerabilities when something changed";

    targets = mkOption {
      type = types.attrsOf (types.strMatching "/.+");
      default = {
        system = "/run/current-system";
      };
      example = {
        system = "/run/current-system";
        alice = "/nix/var/nix/profiles/per-user/alice/profile";
      };
      description = ''
        What is scanned, by the name that messages and metrics show. The unit does not see /home, /root and
        /run/user: name a profile by a path elsewhere.
      '';
    };

    schedule = mkOption {
      type = length;
      default = "1d";
      description = "How long after a scan the next is made, whatever happens.";
    };

    jitter = mkOption {
      type = length;
      default = "1h";
      description = "Up to so much later, so that not all machines scan at once.";
    };

    deep = mkOption {
      type = types.bool;
      default = false;
      description = "Also looks inside files for libraries that they contain.";
    };

    scanConfig = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = literalExpression "./snowguard.toml";
      description = "Settings and decisions of scans: a snowguard.toml.";
    };

    update = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Fetches advisories. Without it, something else has to replace the index.";
      };
      onCalendar = mkOption {
        type = types.str;
        default = "*-*-* 00/6:00:00";
        description = "When, as systemd.time(7) writes it.";
      };
      arguments = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [
          "--mirror"
          "https://mirror.example/advisories"
        ];
        description = "More arguments of `snowguard advisories update`.";
      };
    };

    metrics = {
      listen = mkOption {
        type = types.nullOr (types.strMatching "unix:/.+|127\\.[0-9.]+:[0-9]+|\\[::1]:[0-9]+");
        default = null;
        example = "unix:/run/snowguard/metrics.sock";
        description = "Where Prometheus fetches metrics: a socket, or a port of the loopback interface.";
      };
      textfileDirectory = mkOption {
        type = types.nullOr (types.strMatching "/.+");
        default = null;
        example = "/var/lib/prometheus-node-exporter";
        description = "The directory of the node exporter's textfile collector. The group snowguard-metrics must be able to write to it.";
      };
    };

    notifiers = {
      journal = notifier "Entries in the journal." { };
      desktop = notifier "Notifications in every graphical session." { };
      file = notifier "Lines of JSON in a file." {
        path = mkOption {
          type = types.strMatching "/.+";
          default = "/var/log/snowguard/changes.jsonl";
          description = "The file. Elsewhere than below /var/log/snowguard, the unit needs ReadWritePaths.";
        };
      };
      mail = notifier "Mail, through sendmail." {
        to = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "root" ];
          description = "To whom.";
        };
        from = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "From whom. Null leaves it to sendmail.";
        };
        sendmail = mkOption {
          type = types.nullOr (types.strMatching "/.+");
          default = null;
          description = "The program. Null takes that of security.wrappers.";
        };
        setgid = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Whether sendmail has the set-user-ID or set-group-ID bit, as that of Postfix has. Its unit can
            then not be shut off: every restriction that implies NoNewPrivileges is lifted.
          '';
        };
      };
      webhook = notifier "A request to a server." {
        url = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "https://hooks.example/snowguard";
          description = "Where to.";
        };
        urlFile = mkOption {
          type = secret;
          default = null;
          description = "A file in which that stands, where it is a secret.";
        };
        secretFile = mkOption {
          type = secret;
          default = null;
          example = "/run/secrets/snowguard-webhook";
          description = "A file with the secret that signs.";
        };
        authorizationFile = mkOption {
          type = secret;
          default = null;
          description = "A file with the value of the Authorization header.";
        };
      };
    };

    push = {
      enable = mkEnableOption "signing the latest results and sending them to a server";
      to = mkOption {
        type = types.nullOr (types.strMatching "https?://[^[:space:]]+");
        default = null;
        example = "https://fleet.example/results";
        description = "Where to.";
      };
      keyFile = mkOption {
        type = secret;
        default = null;
        example = "/run/secrets/snowguard-push";
        description = "A file with the secret key, as `nix key generate-secret` writes it.";
      };
    };

    settings = mkOption {
      type = types.submodule { freeformType = format.type; };
      default = { };
      example = {
        watch.time-limit = "1h";
      };
      description = "watch.toml. The options above are written into it; what stands here goes before.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.targets != { };
        message = "services.snowguard.targets is empty: there is nothing to scan.";
      }
      {
        # Who lifts it by a setting of the unit knows.
        assertion =
          config.systemd.services.snowguard-watch.serviceConfig ? ProtectHome
          || !lib.any isHidden (lib.attrValues cfg.targets);
        message = "services.snowguard.targets: the unit does not see /home, /root and /run/user.";
      }
      {
        assertion = cfg.notifiers.mail.enable -> cfg.notifiers.mail.to != [ ];
        message = "services.snowguard.notifiers.mail.to is empty: name whom to tell.";
      }
      {
        assertion =
          cfg.notifiers.webhook.enable
          -> (cfg.notifiers.webhook.url == null) != (cfg.notifiers.webhook.urlFile == null);
        message = "services.snowguard.notifiers.webhook needs one of url and urlFile.";
      }
      {
        assertion = cfg.push.enable -> cfg.push.to != null;
        message = "services.snowguard.push.to is not set: name where results are sent.";
      }
      {
        assertion = cfg.push.enable -> cfg.push.keyFile != null;
        message = "services.snowguard.push.keyFile is not set: name the key that signs results.";
      }
    ];

    services.snowguard.settings = {
      watch =
        mapAttrs (_: mkDefault) {
          inherit (cfg) schedule jitter deep;
        }
        // {
          target = mkDefault (mapAttrsToList (name: input: { inherit name input; }) cfg.targets);
        }
        // optionalAttrs (cfg.scanConfig != null) { config = mkDefault "${cfg.scanConfig}"; };
      metrics =
        optionalAttrs (cfg.metrics.listen != null) { listen = mkDefault cfg.metrics.listen; }
        // optionalAttrs (cfg.metrics.textfileDirectory != null) {
          textfile = mkDefault "${cfg.metrics.textfileDirectory}/snowguard.prom";
        };
      # Each key by itself, so that `settings` goes before one of them and not before all.
      notify = mapAttrs (
        name: notifier:
        mapAttrs (_: mkDefault) (policyOf notifier // own.${name} notifier // notifier.settings)
      ) wanted;
    };

    environment.systemPackages = [ cfg.package ];
    environment.etc."snowguard/watch.toml".source = configFile;
    systemd.packages = [ cfg.package ];

    users.users = mkMerge [
      (mkIf cfg.update.enable {
        snowguard-update = {
          isSystemUser = true;
          group = "snowguard-update";
          description = "Snowguard advisories";
        };
      })
      (mkIf privilegedMail {
        snowguard-mail = {
          isSystemUser = true;
          group = "snowguard-mail";
          description = "Snowguard mail";
        };
      })
      (mkIf cfg.notifiers.file.enable {
        snowguard-notify-file = {
          isSystemUser = true;
          group = "snowguard-notify-file";
          description = "Snowguard changes in a file";
        };
      })
    ];
    users.groups = mkMerge [
      (mkIf cfg.update.enable { snowguard-update = { }; })
      (mkIf privilegedMail { snowguard-mail = { }; })
      (mkIf cfg.notifiers.file.enable { snowguard-notify-file = { }; })
      (mkIf (cfg.metrics.textfileDirectory != null) { snowguard-metrics = { }; })
    ];

    systemd.timers.snowguard-update = mkIf cfg.update.enable {
      wantedBy = [ "timers.target" ];
      # The first, empty value takes back that of the package.
      timerConfig.OnCalendar = [
        ""
        cfg.update.onCalendar
      ];
    };

    systemd.timers.snowguard-push = mkIf cfg.push.enable { wantedBy = [ "timers.target" ]; };

    systemd.services = mkMerge [
      {
        snowguard-watch = {
          wantedBy = [ "multi-user.target" ];
          restartTriggers = [ configFile ];
          serviceConfig = mkMerge [
            (mkIf (cfg.metrics.textfileDirectory != null) {
              SupplementaryGroups = [ "snowguard-metrics" ];
              ReadWritePaths = [ cfg.metrics.textfileDirectory ];
            })
            # A port of this machine cannot be reached from a network namespace of its own.
            (mkIf listensOnTcp {
              PrivateNetwork = false;
              RestrictAddressFamilies = [ "AF_INET AF_INET6" ];
              IPAddressAllow = [ "localhost" ];
            })
          ];
        };
      }
      (mkIf cfg.update.enable {
        snowguard-update.serviceConfig.ExecStart = mkIf (cfg.update.arguments != [ ]) [
          ""
          (utils.escapeSystemdExecArgs (
            [
              "${cfg.package}/bin/snowguard"
              "advisories"
              "update"
              "--output"
              "/var/lib/snowguard/advisories.idx"
            ]
            ++ cfg.update.arguments
          ))
        ];
      })
      (mapAttrs' (
        name: _:
        nameValuePair "snowguard-notify-${name}" {
          wantedBy = [ "multi-user.target" ];
          restartTriggers = [ configFile ];
        }
      ) services)
      (mkIf cfg.notifiers.webhook.enable {
        snowguard-notify-webhook.serviceConfig.LoadCredential =
          let
            webhook = cfg.notifiers.webhook;
          in
          optional (webhook.urlFile != null) "url:${webhook.urlFile}"
          ++ optional (webhook.secretFile != null) "secret:${webhook.secretFile}"
          ++ optional (webhook.authorizationFile != null) "authorization:${webhook.authorizationFile}";
      })
      (mkIf (cfg.push.enable && cfg.push.to != null && cfg.push.keyFile != null) {
        snowguard-push = {
          # In a unit, a percent sign begins a specifier.
          environment.SNOWGUARD_PUSH_TO = lib.replaceStrings [ "%" ] [ "%%" ] cfg.push.to;
          # The first, empty value takes back that of the package.
          serviceConfig.LoadCredential = [
            ""
            "key:${cfg.push.keyFile}"
          ];
        };
      })
      (mkIf privilegedMail {
        snowguard-notify-mail.serviceConfig = {
          DynamicUser = false;
          User = "snowguard-mail";
          Group = "snowguard-mail";
          CapabilityBoundingSet = "~";
          LockPersonality = false;
          MemoryDenyWriteExecute = false;
          NoNewPrivileges = false;
          PrivateDevices = false;
          PrivateUsers = false;
          ProtectClock = false;
          ProtectHostname = false;
          ProtectKernelLogs = false;
          ProtectKernelModules = false;
          ProtectKernelTunables = false;
          ProtectSystem = "full";
          RestrictAddressFamilies = "";
          RestrictNamespaces = false;
          RestrictRealtime = false;
          RestrictSUIDSGID = false;
          SystemCallArchitectures = "";
          SystemCallFilter = "";
        };
      })
    ];

    systemd.user.services.snowguard-notify-desktop = mkIf cfg.notifiers.desktop.enable {
      wantedBy = [ "graphical-session.target" ];
      restartTriggers = [ configFile ];
    };
  };
}
