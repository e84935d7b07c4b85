// Package config fills a program's flags from where its user may set them.
//
// A key is a flag's name with _ for -. Its value is the flag's where it was given, else that of the environment variable
// TOLLGATE_<KEY>, else the content of the file that TOLLGATE_<KEY>_FILE names, else the YAML file's, else the flag's
// default. A flag's type is the key's type, wherever the value comes from.
package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// FileFlag is the flag that names the YAML file. It is no key itself.
const FileFlag = "config"

const envPrefix = "TOLLGATE_"

// value is a setting and where it was found, for errors to name.
type value struct {
	of     any
	source string
}

// Load sets each flag of fs that was not given on the command line. env is os.LookupEnv, but for tests. Its errors are one line that
// names the key, the source, and what is wrong; a secret's value is in none.
func Load(fs *pflag.FlagSet, env func(string) (string, bool)) error {
	keys := keysOf(fs)
	found := map[string]value{}
	if err := fromFile(fs, keys, found); err != nil {
		return err
	}
	if err := fromEnv(keys, env, found); err != nil {
		return err
	}
	for _, key := range keys {
		v, ok := found[key]
		flag := fs.Lookup(strings.ReplaceAll(key, "_", "-"))
		if !ok || flag.Changed {
			continue
		}
		if err := set(flag, v.of); err != nil {
			return fmt.Errorf("configuration: %s (from %s): %w", key, v.source, err)
		}
	}
	return nil
}

func keysOf(fs *pflag.FlagSet) []string {
	var keys []string
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Name != FileFlag && f.Name != "help" && f.Name != "version" {
			keys = append(keys, strings.ReplaceAll(f.Name, "-", "_"))
		}
	})
	slices.Sort(keys)
	return keys
}

func fromFile(fs *pflag.FlagSet, keys []string, found map[string]value) error {
	flag := fs.Lookup(FileFlag)
	if flag == nil || flag.Value.String() == "" {
		return nil
	}
	path := flag.Value.String()
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return fmt.Errorf("configuration: read %s: %w", path, oneLine(err))
	}
	raw := k.Raw()
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		if !slices.Contains(keys, key) {
			return fmt.Errorf("configuration: %s: unknown key %q; known keys: %s", path, key, strings.Join(keys, " "))
		}
		found[key] = value{raw[key], path}
	}
	return nil
}

func fromEnv(keys []string, env func(string) (string, bool), found map[string]value) error {
	for _, key := range keys {
		name := envPrefix + strings.ToUpper(key)
		text, plain := env(name)
		path, byFile := env(name + "_FILE")
		plain, byFile = plain && text != "", byFile && path != ""
		switch {
		case plain && byFile:
			return fmt.Errorf("configuration: %s and %s_FILE are both set: unset one", name, name)
		case byFile:
			b, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("configuration: %s_FILE: %w", name, err)
			}
			found[key] = value{strings.TrimRight(string(b), "\r\n"), name + "_FILE"}
		case plain:
			found[key] = value{text, name}
		}
	}
	return nil
}

// set gives a flag a scalar or, where the flag is a list, a list of scalars.
func set(flag *pflag.Flag, v any) error {
	list, isList := v.([]any)
	target, takesList := flag.Value.(pflag.SliceValue)
	switch {
	case isList && !takesList:
		return errors.New("wants one value, not a list")
	case isList:
		items := make([]string, len(list))
		for i, item := range list {
			text, err := scalar(item)
			if err != nil {
				return err
			}
			items[i] = text
		}
		return target.Replace(items)
	}
	text, err := scalar(v)
	if err != nil {
		return err
	}
	if err := flag.Value.Set(text); err != nil {
		return fmt.Errorf("wants a %s", wants(flag.Value.Type()))
	}
	return nil
}

func scalar(v any) (string, error) {
	switch v.(type) {
	case nil:
		return "", errors.New("has no value")
	case map[string]any, []any:
		return "", errors.New("wants one value, not a group of them")
	}
	return fmt.Sprint(v), nil
}

// wants describes a flag's type by an example.
func wants(kind string) string {
	switch kind {
	case "duration":
		return `duration, as "100ms", "10s" or "1m30s"`
	case "int", "int64", "uint", "uint64":
		return "whole number"
	case "bool":
		return "boolean, true or false"
	}
	return kind
}

func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}
