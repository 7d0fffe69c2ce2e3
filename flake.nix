# There is no flake.lock yet: it has to be made by a Nix with a network (`nix flake lock`).
{
  description = "Supply-chain security for Nix systems";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEachSystem = function: lib.genAttrs systems (system: function nixpkgs.legacyPackages.${system});

      manifest = lib.importTOML ./Cargo.toml;

      package =
        {
          lib,
          stdenv,
          rustPlatform,
          installShellFiles,
        }:
        rustPlatform.buildRustPackage {
          pname = "snowguard";
          inherit (manifest.workspace.package) version;

          # What the build reads, and nothing else: documents and tests do not cause a rebuild.
          src = lib.fileset.toSource {
            root = ./.;
            fileset = lib.fileset.unions [
              ./Cargo.toml
              ./Cargo.lock
              ./clippy.toml
              ./crates
              ./data
              ./examples
              ./measure
              ./units
              ./xtask
            ];
          };
          cargoLock.lockFile = ./Cargo.lock;

          # Unit tests only: the suite of the whole workspace wants Nix, a browser and stores of its
          # own, and is `cargo xtask test` in the development shell.
          cargoTestFlags = [
            "--package"
            "snowguard"
            "--package"
            "snowguardd"
            "--bins"
          ];

          cargoBuildFlags = [
            "--package"
            "snowguard"
            "--package"
            "snowguard-confine"
            "--package"
            "snowguardd"
          ];

          nativeBuildInputs = [ installShellFiles ];
          postInstall =
            # The units name programs where a distribution has them.
            ''
              install -D --mode=644 --target-directory=$out/lib/systemd/system units/*.service units/*.timer
              install -D --mode=644 --target-directory=$out/lib/systemd/user units/user/*.service
              substituteInPlace $out/lib/systemd/{system,user}/*.service --replace-quiet /usr/bin/ $out/bin/
            ''
            # Both come out of the definition of the command line, so the programs have to run.
            + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
              for program in snowguard snowguardd; do
                $out/bin/$program man man
                installShellCompletion --cmd $program \
                  --bash <($out/bin/$program completions bash) \
                  --fish <($out/bin/$program completions fish) \
                  --zsh <($out/bin/$program completions zsh)
              done
              installManPage man/*
            '';

          meta = {
            description = "Vulnerability scanner for Nix systems: patch-aware, offline, every verdict explained";
            homepage = manifest.workspace.package.repository;
            license = with lib.licenses; [
              mit
              asl20
            ];
            mainProgram = "snowguard";
            platforms = lib.platforms.linux;
          };
        };

      withPackage = module: {
        imports = [
          module
          thisPackage
        ];
      };
      # It has a key, so that who imports several modules has it once.
      thisPackage = {
        key = "snowguard#package";
        imports = [
          (
            { lib, pkgs, ... }:
            {
              services.snowguard.package = lib.mkDefault self.packages.${pkgs.stdenv.hostPlatform.system}.snowguard;
            }
          )
        ];
      };
    in
    {
      packages = forEachSystem (pkgs: rec {
        snowguard = pkgs.callPackage package { };
        default = snowguard;
      });

      nixosModules = rec {
        snowguard = withPackage ./nix/module.nix;
        # Alone, for a machine that builds and is not scanned.
        fod-proxy = withPackage ./nix/fod-proxy.nix;
        default = snowguard;
      };

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          # What `cargo xtask test` would install elsewhere.
          packages = with pkgs; [
            cargo
            cargo-deny
            cargo-nextest
            chromium
            clippy
            dbus
            nix
            postgresql
            rust-analyzer
            rustc
            rustfmt
            systemd
          ];
        };
      });

      checks = forEachSystem (
        pkgs:
        let
          inherit (self.packages.${pkgs.stdenv.hostPlatform.system}) snowguard;
        in
        {
          package = snowguard;
          # The first command of the README: no network, no Nix, findings.
          first-command = pkgs.runCommand "snowguard-first-command" { nativeBuildInputs = [ snowguard ]; } ''
            status=0
            snowguard scan ${./examples/nixos-20.09.json.zst} > report.txt || status=$?
            cat report.txt
            test "$status" = 1
            test -s report.txt
            touch "$out"
          '';
          # A system with all of it: the units are there, the policy is one that the proxy reads, and the proxy
          # takes what it is started with.
          modules =
            let
              inherit
                (lib.nixosSystem {
                  modules = [
                    self.nixosModules.snowguard
                    self.nixosModules.fod-proxy
                    {
                      boot.isContainer = true;
                      nixpkgs.hostPlatform = pkgs.stdenv.hostPlatform.system;
                      system.stateVersion = lib.trivial.release;
                      services.snowguard = {
                        enable = true;
                        tracker.enable = true;
                        fodBuild.enable = true;
                        fodProxy = {
                          enable = true;
                          mode = "inspect";
                          record = true;
                          listen = [ "0.0.0.0:3128" ];
                          openFirewall = true;
                          policy = {
                            limits.seconds = 3600;
                            exception = [
                              {
                                derivation = "hello-*";
                                hosts = [ "mirror.example.org" ];
                                reason = "the only mirror that has it";
                                expires = "2999-01-01";
                              }
                            ];
                          };
                        };
                      };
                    }
                  ];
                })
                config
                ;
              arguments = import ./nix/fod-proxy-arguments.nix config.services.snowguard.fodProxy;
            in
            assert config.networking.firewall.allowedTCPPorts == [ 3128 ];
            pkgs.runCommand "snowguard-modules"
              {
                units = map (service: config.systemd.units."snowguard-${service}.service".unit) [
                  "fod-proxy"
                  "tracker"
                  "watch"
                ];
                policies = map (name: config.environment.etc."snowguard/${name}.toml".source) [
                  "fod-build-policy"
                  "fod-policy"
                ];
              }
              ''
                ls $units
                ${snowguard}/bin/snowguardd fod-policy $policies
                ${snowguard}/bin/snowguardd ${lib.escapeShellArgs arguments} --help > help.txt
                touch "$out"
              '';
          layout = pkgs.runCommand "snowguard-flake-layout" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
            nixfmt --check ${./flake.nix} ${./nix}/*.nix
            touch "$out"
          '';
        }
      );

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
