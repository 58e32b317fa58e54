package checks

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// element grows list so that the element that key ("3.host") names exists.
func element[T any](list []T, key string) (out []T, at *T, field string, err error) {
	number, field, ok := strings.Cut(key, ".")
	n, convErr := strconv.Atoi(number)
	if !ok || convErr != nil || n < 0 || n > len(list) {
		return list, nil, "", fmt.Errorf("field %q is not numbered in order", key)
	}
	if n == len(list) {
		var zero T
		list = append(list, zero)
	}
	return list, &list[n], field, nil
}

func sourceField(in *Instance, key, value string) error {
	list, s, field, err := element(in.Sources, key)
	if err != nil {
		return err
	}
	in.Sources = list
	switch field {
	case "channel":
		s.Channel = value
	case "host":
		s.Host = value
	case "port":
		s.Port, err = strconv.Atoi(value)
	case "uuid":
		s.UUID = value
	case "server_id":
		s.ServerID = value
	case "io_running":
		s.IORunning = value
	case "sql_running":
		s.SQLRunning = value
	case "lag_seconds":
		var d time.Duration
		d, err = parseSeconds(value)
		s.Lag = &d
	case "delay_seconds":
		s.Delay, err = parseSeconds(value)
	case "error":
		s.Error = value
	case "auto_position":
		s.AutoPos = value == "1"
	case "gtid":
		s.GTIDDetails += value
	default:
		return fmt.Errorf("source field %q is not understood", field)
	}
	if err != nil {
		return fmt.Errorf("source field %s: %w", field, err)
	}
	return nil
}

func replicaField(in *Instance, key, value string) error {
	list, r, field, err := element(in.Replicas, key)
	if err != nil {
		return err
	}
	in.Replicas = list
	switch field {
	case "server_id":
		r.ServerID = value
	case "uuid":
		r.UUID = value
	case "host":
		r.Host = value
	case "port":
		r.Port, err = strconv.Atoi(value)
	default:
		return fmt.Errorf("replica field %q is not understood", field)
	}
	if err != nil {
		return fmt.Errorf("replica field %s: %w", field, err)
	}
	return nil
}

// groupField sets a field of the group that an instance is a member of, or of one of its members.
func groupField(in *Instance, key, value string) (err error) {
	if in.Group == nil {
		in.Group = &Group{}
	}
	g := in.Group
	if rest, ok := strings.CutPrefix(key, "group."); ok {
		return memberField(g, rest, value)
	}
	switch key {
	case "group_kind":
		g.Kind = value
	case "group_name":
		g.Name = value
	case "group_uuid":
		g.UUID = value
	case "group_size":
		g.Size, err = strconv.Atoi(value)
	case "group_status":
		g.Status = value
	case "group_state":
		g.State = value
	case "group_role":
		g.Role = value
	case "group_single_primary":
		g.SinglePrimary = value == "1"
	default:
		return fmt.Errorf("instance field %q is not understood", key)
	}
	if err != nil {
		return fmt.Errorf("instance field %s: %w", key, err)
	}
	return nil
}

func memberField(g *Group, key, value string) error {
	list, m, field, err := element(g.Members, key)
	if err != nil {
		return err
	}
	g.Members = list
	switch field {
	case "uuid":
		m.UUID = value
	case "host":
		m.Host = value
	case "port":
		m.Port, err = strconv.Atoi(value)
	case "state":
		m.State = value
	case "role":
		m.Role = value
	default:
		return fmt.Errorf("group member field %q is not understood", field)
	}
	if err != nil {
		return fmt.Errorf("group member field %s: %w", field, err)
	}
	return nil
}
