#!/bin/sh
# Asks the real programs for the order of every pair here, and writes their answers.
# Usage: record.sh MAVEN_ARTIFACT_JAR    (needs java, javac, ruby, php with composer/semver, Rscript, hugs, dpkg)
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat > "$work/Ask.java" <<'JAVA'
import org.apache.maven.artifact.versioning.ComparableVersion;
import java.util.Scanner;
public class Ask {
  public static void main(String[] args) {
    Scanner in = new Scanner(System.in);
    while (in.hasNextLine()) {
      String[] w = in.nextLine().split(" ");
      int c = new ComparableVersion(w[0]).compareTo(new ComparableVersion(w[2]));
      System.out.println(w[0] + " " + (c < 0 ? "<" : c > 0 ? ">" : "=") + " " + w[2]);
    }
  }
}
JAVA
javac -cp "$1" -d "$work" "$work/Ask.java"
ask_maven() { java -cp "$1:$work" Ask; }

ask_gem() {
  ruby -e 'STDIN.each_line { |l| a, _, b = l.split(" ")
    ok = Gem::Version.correct?(a) && Gem::Version.correct?(b)
    puts "#{a} #{ok ? "=><"[Gem::Version.new(a) <=> Gem::Version.new(b)] : "?"} #{b}" }'
}

ask_composer() {
  php -r 'require "Composer/Semver/autoload.php";
    $p = new Composer\Semver\VersionParser();
    while ($l = fgets(STDIN)) { [$a, , $b] = explode(" ", trim($l));
      try { $x = $p->normalize($a); $y = $p->normalize($b);
        $c = version_compare($x, $y); $s = $c < 0 ? "<" : ($c > 0 ? ">" : "=");
        if (str_starts_with($x, "dev-") || str_starts_with($y, "dev-")) $s = "?";
      } catch (UnexpectedValueException $e) { $s = "?"; }
      echo "$a $s $b\n"; }'
}

ask_r() {
  Rscript -e 'for (l in readLines(file("stdin"))) { w <- strsplit(l, " ")[[1]]
    c <- compareVersion(w[1], w[3]); cat(w[1], if (c < 0) "<" else if (c > 0) ">" else "=", w[3], "\n") }' \
    | sed 's/ $//'
}

ask_dpkg() {
  while read -r a _ b; do
    if dpkg --compare-versions "$a" lt "$b" 2> /dev/null; then s='<'
    elif dpkg --compare-versions "$a" gt "$b" 2> /dev/null; then s='>'
    else s='='; fi
    echo "$a $s $b"
  done
}

# `Data.Version` derives its order from lists, as `versionBranch` has them.
ask_haskell() {
  cat > "$work/Ask.hs" <<'HASKELL'
import Data.Version
import Text.ParserCombinators.ReadP
version t = head [v | (v, "") <- readP_to_S parseVersion t]
answer l = case words l of
  [a, _, b] -> a ++ (case compare (version a) (version b) of { LT -> " < "; GT -> " > "; EQ -> " = " }) ++ b
  _ -> error l
main = interact (unlines . map answer . lines)
HASKELL
  runhugs -98 "$work/Ask.hs"
}

ask() { "ask_$1" "${3:-}" < "$2.txt" > "$work/$2" && mv "$work/$2" "$2.txt"; }
ask maven maven "$1"
ask gem gem
ask composer composer
ask r r
ask dpkg opam
ask haskell haskell
