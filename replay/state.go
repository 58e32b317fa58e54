package replay

import (
	"encoding/json"
	"fmt"
)

// planState is what an epoch's row keeps so that it comes out the same when it is folded again.
type planState struct {
	Ordered map[string]string `json:"ordered,omitempty"` // group → why
}

func planText(e *epoch) string {
	text, err := json.Marshal(planState{Ordered: e.ordered})
	if err != nil {
		return "" // a map of strings has no error
	}
	return string(text)
}

func readPlan(text string) (planState, error) {
	var p planState
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("read the plan of the interrupted epoch: %w", err)
	}
	return p, nil
}
