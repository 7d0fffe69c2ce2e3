# Types that options of both modules have.
{ lib }:
let
  inherit (lib) hasPrefix types;
in
{
  # `90s`, `5m`, `24h`, `7d`, `2w`.
  length = types.strMatching "[0-9]+[smhdw]" // {
    description = "length of time: a number and one of s, m, h, d, w";
  };

  # A secret is a path at run time. A Nix path would be copied to the store, where everybody reads it.
  secret = types.nullOr (
    types.addCheck types.str (path: hasPrefix "/" path && !hasPrefix builtins.storeDir path)
    // {
      description = "absolute path outside of the Nix store, as text";
    }
  );
}
