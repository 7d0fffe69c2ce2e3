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
              ./xtask
            ];
          };
          cargoLock.lockFile = ./Cargo.lock;

          # Unit tests only: the suite of the whole workspace wants Nix, a browser and stores of its
          # own, and is `cargo xtask test` in the development shell.
          cargoTestFlags = [
            "--package"
            "snowguard"
            "--bins"
          ];

          nativeBuildInputs = [ installShellFiles ];
          # Both come out of the definition of the command line, so the program has to run.
          postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
            $out/bin/snowguard man man
            installManPage man/*
            installShellCompletion --cmd snowguard \
              --bash <($out/bin/snowguard completions bash) \
              --fish <($out/bin/snowguard completions fish) \
              --zsh <($out/bin/snowguard completions zsh)
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
    in
    {
      packages = forEachSystem (pkgs: rec {
        snowguard = pkgs.callPackage package { };
        default = snowguard;
      });

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          # What `cargo xtask test` would install elsewhere.
          packages = with pkgs; [
            cargo
            cargo-deny
            cargo-nextest
            chromium
            clippy
            nix
            rust-analyzer
            rustc
            rustfmt
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
          layout = pkgs.runCommand "snowguard-flake-layout" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
            nixfmt --check ${./flake.nix}
            touch "$out"
          '';
        }
      );

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
