# Restore an electrocardiogram from every fourth sample; save and load.
library(reticulate)

keras <- import("keras")
convt <- import("keras_convt")
recording <- import("keras_convt.demo.signal")

keras$utils$set_random_seed(1L)

# Windows of 64 samples, each starting 8 after the one before.
signal <- as.vector(recording$electrocardiogram())
signal <- (signal - mean(signal)) / sd(signal)
starts <- seq(1, length(signal) - 63, by = 8)
fine <- t(sapply(starts, function(start) signal[start + 0:63]))
coarse <- fine[, seq(1, 64, by = 4)]
dim(fine) <- c(dim(fine), 1)
dim(coarse) <- c(dim(coarse), 1)

model <- keras$Sequential(list(keras$Input(tuple(16L, 1L)))) |>
  convt$layer_conv_1d(16, 5, padding = "same", activation = "relu") |>
  convt$layer_conv_1d_transpose(
    16, 4, 2, padding = "same", activation = "relu"
  ) |>
  convt$layer_conv_1d_transpose(1, 4, 2, padding = "same")

model$compile(optimizer = keras$optimizers$Adam(0.01), loss = "mse")
history <- model$fit(coarse, fine, epochs = 20L, verbose = 0L)
loss <- unlist(history$history$loss)
cat("mean square error: first epoch", loss[1], "last", tail(loss, 1), "\n")
stopifnot(tail(loss, 1) < loss[1] / 2)

path <- file.path(tempdir(), "model.keras")
model$save(path)
# import("keras_convt") above is all that loading needs.
loaded <- keras$models$load_model(path)
difference <- max(abs(model$predict(coarse, verbose = 0L) -
  loaded$predict(coarse, verbose = 0L)))
cat("largest difference after loading:", difference, "\n")
stopifnot(difference < 1e-6)
