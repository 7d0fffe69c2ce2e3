# The tracker of a whole package set: its pages, its API, and the worker that does what is due.
#
# The units are those of the package. This module writes tracker.toml, starts the units that are wanted, and
# hands secrets over by LoadCredential, as paths only.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    hasPrefix
    mkDefault
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    optional
    optionalAttrs
    types
    ;

  snowguard = config.services.snowguard;
  cfg = snowguard.tracker;
  format = pkgs.formats.toml { };
  configFile = format.generate "snowguard-tracker.toml" cfg.settings;

  inherit (import ./types.nix { inherit lib; }) length secret;

  isPostgres = hasPrefix "postgres" cfg.database || cfg.databaseFile != null;
  credentials =
    optional (cfg.databaseFile != null) "database:${cfg.databaseFile}"
    ++ optional (cfg.github.secretFile != null) "github:${cfg.github.secretFile}"
    ++ optional (cfg.forge.tokenFile != null) "forge:${cfg.forge.tokenFile}"
    ++ optional (cfg.advisories.githubTokenFile != null) "releases:${cfg.advisories.githubTokenFile}";
  unit = {
    wantedBy = [ "multi-user.target" ];
    restartTriggers = [ configFile ];
    serviceConfig = mkMerge [
      { LoadCredential = credentials; }
      (mkIf (cfg.backup.directory != null) { ReadWritePaths = [ cfg.backup.directory ]; })
    ];
  };
in
{
  imports = [ ./package.nix ];

  options.services.snowguard.tracker = {
    enable = mkEnableOption "the tracker of vulnerabilities of a whole package set";

    database = mkOption {
      type = types.str;
      default = "/var/lib/snowguard-tracker/tracker.db";
      example = "postgres://snowguard-tracker@/snowguard-tracker";
      description = "A file, or the URL of a PostgreSQL. A URL with a password belongs into databaseFile.";
    };

    databaseFile = mkOption {
      type = secret;
      default = null;
      example = "/run/secrets/tracker-database";
      description = "A file in which the URL of a PostgreSQL stands; goes before database.";
    };

    url = mkOption {
      type = types.nullOr (types.strMatching "https?://[^[:space:]]+");
      default = null;
      example = "https://tracker.example.org";
      description = "The address under which people reach it.";
    };

    site = mkOption {
      type = types.str;
      default = "Snowguard";
      description = "The name of the site.";
    };

    listen = mkOption {
      type = types.strMatching ".+:[0-9]+";
      default = "127.0.0.1:8080";
      description = "Where it listens, without encryption: put a proxy in front of it.";
    };

    behindProxy = mkOption {
      type = types.bool;
      default = false;
      description = "A proxy on this machine stands in front: its X-Forwarded-For is believed.";
    };

    admins = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "alice" ];
      description = "Logins of administrators.";
    };

    security = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Logins of the security team.";
    };

    github = {
      clientId = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "Iv1.0123456789abcdef";
        description = "The application of GitHub with which people log in. Without it, the tracker is for one person.";
      };
      secretFile = mkOption {
        type = secret;
        default = null;
        example = "/run/secrets/tracker-github";
        description = "A file with its secret.";
      };
    };

    worker = {
      separate = mkOption {
        type = types.bool;
        default = false;
        description = "Does what is due in a unit of its own; needs PostgreSQL.";
      };
      look = mkOption {
        type = length;
        default = "15m";
        description = "How often each channel with a source is looked at.";
      };
    };

    advisories = {
      fetch = mkOption {
        type = types.bool;
        default = true;
        description = "Fetches feeds of advisories.";
      };
      every = mkOption {
        type = length;
        default = "1h";
        description = "How often.";
      };
      mirror = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "https://mirror.example/advisories";
        description = "A folder with all feeds, in place of their own addresses.";
      };
      githubTokenFile = mkOption {
        type = secret;
        default = null;
        description = "A file with a token for GitHub's list of releases: more requests an hour.";
      };
    };

    forge = {
      repository = mkOption {
        type = types.nullOr (types.strMatching "[^/[:space:]]+/[^/[:space:]]+");
        default = null;
        example = "example/nixpkgs";
        description = "The repository whose issues follow what is published.";
      };
      tokenFile = mkOption {
        type = secret;
        default = null;
        description = "A file with a token that may write issues there.";
      };
    };

    publish = {
      keyFile = mkOption {
        type = secret;
        default = null;
        example = "/run/secrets/tracker-publish";
        description = "A file with the key that signs what is decided, together with an index, for every scan: as `snowguard advisories key` makes it. Null publishes nothing.";
      };
      index = mkOption {
        type = types.strMatching "/.+";
        default = "/var/lib/snowguard/advisories.idx";
        description = "The index that is published. The user snowguard-publish must be able to read it.";
      };
    };

    mailFrom = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "tracker@example.org";
      description = "From whom letters come. Null sends none.";
    };

    backup = {
      directory = mkOption {
        type = types.nullOr (types.strMatching "/.+");
        default = null;
        example = "/var/backup/snowguard-tracker";
        description = "Where backups go. The user snowguard-tracker must be able to write there.";
      };
      every = mkOption {
        type = length;
        default = "1d";
        description = "How often.";
      };
      count = mkOption {
        type = types.ints.positive;
        default = 14;
        description = "How many are kept.";
      };
    };

    metrics = mkOption {
      type = types.nullOr (types.strMatching "unix:/.+|127\\.[0-9.]+:[0-9]+|\\[::1]:[0-9]+");
      default = null;
      example = "127.0.0.1:9188";
      description = "Where Prometheus fetches metrics.";
    };

    settings = mkOption {
      type = types.submodule { freeformType = format.type; };
      default = { };
      example = {
        publish.prefix = "EXAMPLE";
      };
      description = "tracker.toml. The options above are written into it; what stands here goes before.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.worker.separate -> isPostgres;
        message = "services.snowguard.tracker.worker.separate needs PostgreSQL: a SQLite file belongs to one service.";
      }
      {
        assertion = (cfg.github.clientId == null) == (cfg.github.secretFile == null);
        message = "services.snowguard.tracker.github needs both of clientId and secretFile.";
      }
      {
        assertion = cfg.github.clientId != null -> cfg.url != null;
        message = "services.snowguard.tracker.url is not set: GitHub must know where to lead people back.";
      }
      {
        assertion = (cfg.forge.repository == null) == (cfg.forge.tokenFile == null);
        message = "services.snowguard.tracker.forge needs both of repository and tokenFile.";
      }
    ];

    # Each key by itself, so that `settings` goes before one of them and not before all.
    services.snowguard.tracker.settings = {
      site = mkDefault cfg.site;
      server = {
        listen = mkDefault cfg.listen;
        behind-proxy = mkDefault cfg.behindProxy;
        admins = mkDefault cfg.admins;
        security = mkDefault cfg.security;
      }
      // optionalAttrs (cfg.publish.keyFile != null) {
        repository = mkDefault "/var/lib/snowguard-publish/repository";
      }
      // optionalAttrs (cfg.github.clientId != null) {
        github = {
          client-id = mkDefault cfg.github.clientId;
          secret-file = mkDefault "credential:github";
        };
      };
      worker = {
        enabled = mkDefault (!cfg.worker.separate);
        look = mkDefault cfg.worker.look;
      };
      advisories = {
        file = mkDefault "/var/lib/snowguard-tracker/advisories.idx";
        fetch = mkDefault cfg.advisories.fetch;
        every = mkDefault cfg.advisories.every;
      }
      // optionalAttrs (cfg.advisories.mirror != null) { mirror = mkDefault cfg.advisories.mirror; }
      // optionalAttrs (cfg.advisories.githubTokenFile != null) {
        github-token-file = mkDefault "credential:releases";
      };
    }
    // (
      if cfg.databaseFile != null then
        { database-file = mkDefault "credential:database"; }
      else
        { database = mkDefault cfg.database; }
    )
    // optionalAttrs (cfg.url != null) { url = mkDefault cfg.url; }
    // optionalAttrs (cfg.metrics != null) { metrics = mkDefault cfg.metrics; }
    // optionalAttrs (cfg.forge.repository != null) {
      publish.forge = {
        repository = mkDefault cfg.forge.repository;
        token-file = mkDefault "credential:forge";
      };
    }
    // optionalAttrs (cfg.mailFrom != null) { tell.from = mkDefault cfg.mailFrom; }
    // optionalAttrs (cfg.backup.directory != null) {
      keep.backup = {
        directory = mkDefault cfg.backup.directory;
        every = mkDefault cfg.backup.every;
        count = mkDefault cfg.backup.count;
      };
    };

    environment.systemPackages = [ snowguard.package ];
    environment.etc."snowguard/tracker.toml".source = configFile;
    systemd.packages = [ snowguard.package ];

    users.users = mkMerge [
      {
        snowguard-tracker = {
          isSystemUser = true;
          group = "snowguard-tracker";
          description = "Snowguard tracker";
        };
      }
      (mkIf (cfg.publish.keyFile != null) {
        snowguard-publish = {
          isSystemUser = true;
          group = "snowguard-publish";
          description = "Snowguard published index";
        };
      })
    ];
    users.groups = mkMerge [
      { snowguard-tracker = { }; }
      (mkIf (cfg.publish.keyFile != null) { snowguard-publish = { }; })
    ];

    systemd.timers.snowguard-publish = mkIf (cfg.publish.keyFile != null) {
      wantedBy = [ "timers.target" ];
    };

    systemd.services = mkMerge [
      { snowguard-tracker = unit; }
      (mkIf (cfg.publish.keyFile != null) {
        snowguard-publish = {
          environment = {
            SNOWGUARD_INDEX = cfg.publish.index;
            TRIAGE = "http://${cfg.listen}/triage.json.zst";
          };
          # The first, empty value takes back that of the package.
          serviceConfig.LoadCredential = [
            ""
            "key:${cfg.publish.keyFile}"
          ];
        };
      })
      (mkIf cfg.worker.separate { snowguard-tracker-worker = unit; })
    ];
  };
}
