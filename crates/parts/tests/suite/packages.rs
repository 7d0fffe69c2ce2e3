//! Texts that packages carry about themselves.

use insta::assert_snapshot;

use crate::text;

#[test]
fn python_metadata() {
    assert_snapshot!(text("Flask-3.0.0.dist-info/METADATA", "Metadata-Version: 2.1
Name: Flask
Version: 3.0.0
Summary: A simple framework for building complex web applications.
Classifier: Name: no

Version: 9.9.9 in the description
"), @"Flask | pkg:pypi/flask | 3.0.0 | runtime | line 2");
    assert_snapshot!(text("x.egg-info/PKG-INFO", "Metadata-Version: 1.0\r\nname: zope.interface\r\nversion: 5.4.0\r\n"), @"zope.interface | pkg:pypi/zope-interface | 5.4.0 | runtime | line 2");
    assert_snapshot!(text("x.dist-info/METADATA", "Name: . x\nVersion: 1\n"), @"problem: line 1, a name that no Python package can have");
    let long = format!("Name: a{}b\nVersion: 1\n", "-".repeat(600));
    assert_snapshot!(text("x.dist-info/METADATA", &long), @"problem: line 1, a name that is too long");
    assert_snapshot!(text("x.dist-info/METADATA", "Name: x\n\nVersion: 1\n"), @"problem: the whole file, Python metadata without name or version");
}

#[test]
fn npm_packages() {
    let package = |json| text("lib/node_modules/x/package.json", json);
    assert_snapshot!(package(r#"{"name": "@babel/runtime", "version": "7.20.0", "private": null, "main": {}}"#), @"@babel/runtime | pkg:npm/@babel/runtime | 7.20.0 | runtime");
    assert_snapshot!(package(r#"{"name": "house", "version": "1.0.0", "private": true}"#), @"house | pkg:generic/house | 1.0.0 | runtime | Local");
    assert_snapshot!(package(r#"{"name": "forked", "version": "1.0.0", "_resolved": "git+ssh://git@github.com/a/b.git#0123"}"#), @r#"forked | pkg:generic/forked | 1.0.0 | runtime | Repository("git+ssh://git@github.com/a/b.git#0123")"#);
    assert_snapshot!(package(r#"{"type": "module"}"#), @"");
    assert_snapshot!(package(r#"{"name": "x", "version": 3}"#), @"");
}

#[test]
fn gems() {
    let gem = |body: &str| {
        let spec = format!(
            "# -*- encoding: utf-8 -*-\n# stub: rake 13.0.6 ruby lib\n\nGem::Specification.new do |s|\n{body}end\n"
        );
        text(
            "lib/ruby/gems/3.1.0/specifications/rake-13.0.6.gemspec",
            &spec,
        )
    };
    assert_snapshot!(gem("  s.name = \"rake\".freeze\n  s.version = \"13.0.6\"\n\n  s.authors = [\"Hiroshi SHIBATA\".freeze]\n"), @"rake | pkg:gem/rake | 13.0.6 | runtime | line 5");
    assert_snapshot!(gem("  s.name = %q{rake}\n  s.version = \"0.8.7\"\n"), @"rake | pkg:gem/rake | 0.8.7 | runtime | line 5");
    assert_snapshot!(gem("  s.name = \"rake\"\n  s.version = Rake::VERSION\n"), @"problem: the whole file, a gemspec whose name or version is not a plain text");
}

#[test]
fn dotnet() {
    let deps = include_str!("../data/Python.Runtime.deps.json");
    assert_snapshot!(text("lib/Python.Runtime.deps.json", deps), @"
    Python.Runtime | pkg:generic/python.runtime | 3.0.3 | runtime | root | Local | line 126
    Lost.Compat.NullabilityAttributes | pkg:nuget/lost.compat.nullabilityattributes | 0.0.4 | build | sha512-n0NnW7dbtbq1+2zaJELWLhBm6hCcnhYLstCDOQIpb5AXtQdIKS4l6CQMndA8qrj3ufdC9M0Ntq3k48V9LyKBtg== | line 131
    Microsoft.Build.Tasks.Git | pkg:nuget/microsoft.build.tasks.git | 1.1.1 | build | sha512-AT3HlgTjsqHnWpBHSNeR0KxbLZD7bztlZVj7I8vgeYG9SYqbeFGh0TM/KVtC6fg53nrWHl3VfZFvb5BiQFcY6Q== | line 138
    Microsoft.CSharp | pkg:nuget/microsoft.csharp | 4.7.0 | runtime | sha512-pTj+D3uJWyN3My70i2Hqo+OXixq3Os2D1nJ2x92FFo6sk8fYS1m1WLNTs0Dc1uPaViH0YvEEwvzddQ7y4rhXmA== | line 145
    Microsoft.Net.Compilers.Toolset | pkg:nuget/microsoft.net.compilers.toolset | 4.0.1 | build | sha512-DVIW1CUIPq5V4tFvqbjKvf0d9djECceVCNDspGx/kPjKyJRXJ6mjYMcel9fxaECybbjYwn8Q1/tIwjZvhZo0NQ== | line 152
    Microsoft.NETCore.Platforms | pkg:nuget/microsoft.netcore.platforms | 1.1.0 | build | sha512-kz0PEW2lhqygehI/d6XsPCQzD7ff7gUJaVGPVETX611eadGsA3A877GdSlU0LRVMCTH/+P3o2iDTak+S08V2+A== | line 159
    Microsoft.NETCore.Targets | pkg:nuget/microsoft.netcore.targets | 1.1.0 | build | sha512-aOZA3BWfz9RXjpzt0sRJJMjAscAUm3Hoa4UWAfceV9UTYxgwZ1lZt5nO2myFf+/jetYQo4uTP7zS8sJY67BBxg== | line 166
    Microsoft.SourceLink.Common | pkg:nuget/microsoft.sourcelink.common | 1.1.1 | build | sha512-WMcGpWKrmJmzrNeuaEb23bEMnbtR/vLmvZtkAP5qWu7vQsY59GqfRJd65sFpBszbd2k/bQ8cs8eWawQKAabkVg== | line 173
    Microsoft.SourceLink.GitHub | pkg:nuget/microsoft.sourcelink.github | 1.1.1 | build | sha512-IaJGnOv/M7UQjRJks7B6p7pbPnOwisYGOIzqCz5ilGFTApZ3ktOR+6zJ12ZRPInulBmdAf1SrGdDG2MU8g6XTw== | line 180
    NETStandard.Library | pkg:nuget/netstandard.library | 2.0.3 | build | sha512-st47PosZSHrjECdjeIzZQbzivYBJFv6P2nv4cj2ypdI204DO+vZ7l5raGMiX4eXMJ53RfOIg+/s4DHVZ54Nu2A== | line 187
    NonCopyableAnalyzer | pkg:nuget/noncopyableanalyzer | 0.7.0 | build | sha512-G2vRegGULhvTQ3/LzI0bC7nSSoEGtuvr1LJSWSoLmdVuJn5YNlMtTBAF/O0Rl1Acf2w8QjLuzoxiGagjvglicQ== | line 194
    System.IO | pkg:nuget/system.io | 4.3.0 | build | sha512-3qjaHvxQPDpSOYICjUoTsmoq5u6QJAFRUITgeT/4gqkF1bajbSmb1kwSxEA8AHlofqgcKJcM8udgieRNhaJ5Cg== | line 201
    System.Reflection | pkg:nuget/system.reflection | 4.3.0 | build | sha512-KMiAFoW7MfJGa9nDFNcfu+FpEdiHpWgTcS2HdMpDvt9saK3y/G4GwprPyzqjFH9NTaGPQeWNHU+iDlDILj96aQ== | line 208
    System.Reflection.Emit | pkg:nuget/system.reflection.emit | 4.3.0 | runtime | sha512-228FG0jLcIwTVJyz8CLFKueVqQK36ANazUManGaJHkO0icjiIypKW7YLWLIWahyIkdh5M7mV2dJepllLyA1SKg== | line 215
    System.Reflection.Emit.ILGeneration | pkg:nuget/system.reflection.emit.ilgeneration | 4.3.0 | runtime | sha512-59tBslAk9733NXLrUJrwNZEzbMAcu8k344OYo+wfSVygcgZ9lgBdGIzH/nrg3LYhXceynyvTc8t5/GD4Ri0/ng== | line 222
    System.Reflection.Primitives | pkg:nuget/system.reflection.primitives | 4.3.0 | build | sha512-5RXItQz5As4xN2/YUDxdpsEkMhvw3e6aNveFXUn4Hl/udNTCNhnKp8lT9fnc3MhvGKh1baak5CovpuQUXHAlIA== | line 229
    System.Runtime | pkg:nuget/system.runtime | 4.3.0 | build | sha512-JufQi0vPQ0xGnAczR13AUFglDyVYt4Kqnz1AZaiKZ5+GICq0/1MH/mO/eAJHt/mHW1zjKBJd7kV26SrxddAhiw== | line 236
    System.Text.Encoding | pkg:nuget/system.text.encoding | 4.3.0 | build | sha512-BiIg+KWaSDOITze6jGQynxg64naAPtqGHBwDrLaCtixsa5bKiR8dpPOHA7ge3C0JJQizJE+sfkz1wV+BAKAYZw== | line 243
    System.Threading.Tasks | pkg:nuget/system.threading.tasks | 4.3.0 | build | sha512-LbSxKEdOUhVe8BezB/9uOGGppt+nZf6e1VFyw6v3DN6lqitm0OSn2uXMOdtP0M3W4iMcqcivm2J6UgqiwwnXiA== | line 250
    ");
    assert_snapshot!(text("App.deps.json", r#"{
  "runtimeTarget": {"name": ".NETCoreApp,Version=v8.0/linux-x64"},
  "targets": {".NETCoreApp,Version=v8.0": {}, ".NETCoreApp,Version=v8.0/linux-x64": {
    "App/1.0.0": {"runtime": {"App.dll": {}}},
    "System.Net.Http/4.3.0": {"dependencies": {"System.Runtime": "4.3.0"}, "compile": {"ref/System.Net.Http.dll": {}}},
    "Microsoft.NETCore.App/3.1.23": {"dependencies": {"runtime.osx.10.10-x64.Microsoft.NETCore.App": "3.1.23"}},
    "runtime.osx.10.10-x64.Microsoft.NETCore.App/3.1.23": {"runtime": {"System.Net.Http.dll": {}}},
    "Other/3.1.24": {},
    "runtime.linux-x64.Other/3.1.23": {"native": {"libother.so": {}}},
    "Empty/1.0.0": {"runtime": {}, "native": null, "runtimeTargets": {"lib/net8.0/_._": {}}},
    "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1": {"runtime": {"System.Private.CoreLib.dll": {}}}
  }},
  "libraries": {
    "App/1.0.0": {"type": "project", "serviceable": false, "sha512": ""},
    "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1": {"type": "runtimepack", "serviceable": false, "sha512": ""},
    "Lib.Reference/1.0.0.0": {"type": "reference", "serviceable": false, "sha512": ""},
    "System.Net.Http/4.3.0": {"type": "package"},
    "Empty/1.0.0": {"type": "package"},
    "Microsoft.NETCore.App/3.1.23": {"type": "package"},
    "Other/3.1.24": {"type": "package"},
    "Unlisted/1.0.0": {"type": "package"},
    "versionless": {"type": "package"},
    "wrong/1.0.0": 3
  }
}"#), @"
    App | pkg:generic/app | 1.0.0 | runtime | root | Local | line 14
    Microsoft.NETCore.App.Runtime.linux-x64 | pkg:nuget/microsoft.netcore.app.runtime.linux-x64 | 8.0.1 | runtime | line 15
    System.Net.Http | pkg:nuget/system.net.http | 4.3.0 | build | line 17
    Empty | pkg:nuget/empty | 1.0.0 | build | line 18
    Microsoft.NETCore.App | pkg:nuget/microsoft.netcore.app | 3.1.23 | runtime | line 19
    Other | pkg:nuget/other | 3.1.24 | build | line 20
    Unlisted | pkg:nuget/unlisted | 1.0.0 | line 21
    problem: line 22, a library without a version
    problem: line 23, a library that is not an object
    ");
}
