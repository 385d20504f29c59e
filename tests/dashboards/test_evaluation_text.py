import pandas as pd
import pytest

from dashboards.evaluation import describe


@pytest.fixture
def described(full):
    return full, describe(full.test, full.epochs)


def test_the_losses_of_the_same_weights_stand_beside_each_other(described):
    results, found = described
    (table,) = [table for table in found.tables if table.title.startswith("Loss")]
    trial, epoch = results.test.trial, results.test.epoch
    record = results.epochs[(results.epochs["trial"] == trial) & (results.epochs["epoch"] == epoch)].iloc[0]
    losses = [float(row[1]) for row in table.rows]
    assert losses == pytest.approx([record["train_loss"], record["val_loss"], results.test.loss], abs=1e-3)
    assert [row[0].split()[0] for row in table.rows] == ["training", "validation", "test"]


@pytest.mark.parametrize("change", ["no loss", "no record"])
def test_without_a_loss_or_a_record_there_is_no_table_of_losses(full, change):
    test, epochs = full.test, full.epochs
    if change == "no loss":
        test = test.model_copy(update={"loss": None})
    else:
        epochs = pd.DataFrame(epochs.iloc[:0])
    assert not [table for table in describe(test, epochs).tables if table.title.startswith("Loss")]
