# The package, which all of the modules take their programs and units from.
{ lib, ... }:
{
  options.services.snowguard.package = lib.mkOption {
    type = lib.types.package;
    example = lib.literalExpression "inputs.snowguard.packages.\${system}.default";
    description = "The package with snowguard, snowguardd and their units.";
  };
}
