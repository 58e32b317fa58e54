package testrig

import (
	"context"
	"errors"
)

func (c *cache) dataDir(ctx context.Context, product Product) (string, error) {
	return "", errors.New("TODO")
}
